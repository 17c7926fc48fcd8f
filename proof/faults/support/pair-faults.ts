// The faults of which pairs are made. Each says what it needs to be there and what it takes away, so
// that a second one comes while the first lasts, or right after it where the two exclude each other.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import { until } from "@stampede/launcher/testing";
import type { FaultProxy } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";
import { queues, reserves } from "../mechanisms.ts";
import { blockedSessions, waitingWriters, whileRowHeld, withWritesHeld } from "./held-row.ts";
import { queueOf } from "./queue.ts";
import { burst, burstUntil, leadingDecider } from "./pair-place.ts";
import type { PairPlace, PairSale } from "./pair-place.ts";
import { truncateAppendOnlyFile } from "./private-engines.ts";
import { continueTree, stopTree } from "./processes.ts";
import { redisCommand } from "./redis-command.ts";
import { readStored, withDatabase } from "./sale.ts";
import { takeAllConnections } from "./postgres-connections.ts";

export type FaultName =
  | "A4"
  | "A8"
  | "P2"
  | "P4"
  | "P5"
  | "R2"
  | "R3"
  | "R6"
  | "K1"
  | "K4"
  | "K10"
  | "K12";

export type Thing = "door" | "decider" | "postgres" | "redis" | "kafka";

/** The round in which it happens. */
type Round = {
  readonly place: PairPlace;
  /** The sales that meet this fault. */
  readonly sales: readonly PairSale[];
  /** What another fault has taken away now. */
  readonly taken: () => ReadonlySet<Thing>;
  /** Redis' file as long as it was when nobody had claimed yet. */
  readonly fileBytes: number;
};

export type PairFault = {
  readonly name: FaultName;
  /** What must be there, or the fault cannot happen. */
  readonly needs: readonly Thing[];
  readonly takes: readonly Thing[];
  readonly inject: (round: Round) => Promise<void>;
  readonly heal: (round: Round) => Promise<void>;
};

/** Longer than PostgreSQL lets a silent session hold a row (4.6 s). */
const STOPPED_MS = 5_000;
const ALL: readonly Thing[] = ["door", "decider", "postgres", "redis", "kafka"];

export function pairFault(name: FaultName): PairFault {
  return makers[name]();
}

const makers: Readonly<Record<FaultName, () => PairFault>> = {
  /** SIGKILL of the door with coupons reserved and no row of them. */
  A4: () => ({
    ...about("A4", { needs: ["door", "postgres", "redis"], takes: ["door"] }),
    inject: async (round) => whileReserved(round, async () => round.place.program.kill()),
    heal: async ({ place }) => place.program.restart(),
  }),
  /** SIGSTOP of the door in the middle of its transactions. */
  A8: () => {
    let stoppedMs = 0;
    return {
      ...about("A8", { needs: ["door"], takes: ["door"] }),
      async inject(round) {
        const stop = async (): Promise<void> => {
          stopTree(round.place.program.pid);
          stoppedMs = performance.now();
        };
        await whileWriting(round, stop);
      },
      async heal({ place }) {
        await pause(Math.max(0, STOPPED_MS - (performance.now() - stoppedMs)));
        continueTree(place.program.pid);
      },
    };
  },
  P2: () => ({
    ...about("P2", { needs: ["postgres"], takes: ["postgres"] }),
    async inject(round) {
      await burstAll(round);
      await round.place.postgres.kill();
    },
    heal: async ({ place }) => place.postgres.start(),
  }),
  /** The reply to the COMMIT that writes rows is cut: the door's in v1 and v2, the decider's in v3. */
  P4: () => ({
    ...about("P4", { needs: ALL, takes: [] }),
    async inject({ place, sales }) {
      const { doorsPostgres, decidersPostgres } = place.before;
      for (const one of sales) {
        await cutOne(queues(one.sale) ? decidersPostgres : doorsPostgres, one);
      }
    },
    heal: nothing,
  }),
  P5: () => {
    const holders: pg.Client[] = [];
    return {
      ...about("P5", { needs: ["postgres"], takes: ["postgres"] }),
      async inject(round) {
        await burstAll(round);
        await takeAllConnections(round.place.postgres.url, holders);
      },
      async heal() {
        await Promise.all(holders.splice(0).map(async (holder) => holder.end()));
      },
    };
  },
  R2: () => ({
    ...about("R2", { needs: ["redis"], takes: [] }),
    inject: async (round) =>
      whileReserved(round, async () => redisCommand(round.place.redis.url, "FLUSHALL")),
    heal: nothing,
  }),
  /** SIGKILL of Redis, its file cut to what it was before anybody claimed. */
  R3: () => ({
    ...about("R3", { needs: ["redis"], takes: ["redis"] }),
    async inject(round) {
      const { redis } = round.place;
      await whileReserved(round, async () => redis.kill());
      truncateAppendOnlyFile(redis, round.fileBytes);
    },
    heal: async ({ place }) => place.redis.start(),
  }),
  R6: () => ({
    ...about("R6", { needs: ["door", "postgres", "redis"], takes: [] }),
    inject: async ({ place, sales }) => cutOne(place.before.doorsRedis, sales[0]!),
    heal: nothing,
  }),
  K1: () => ({
    ...about("K1", { needs: ["kafka"], takes: ["kafka"] }),
    async inject(round) {
      await burstAll(round);
      await round.place.broker.kill();
    },
    heal: async ({ place }) => place.broker.restart(),
  }),
  K4: () => ({
    ...about("K4", { needs: ["door", "kafka"], takes: [] }),
    inject: async ({ place, sales }) => cutOne(place.before.doorsKafka, sales[0]!),
    heal: nothing,
  }),
  /** SIGKILL of the deciding process after a commit. */
  K10: () => {
    let killed: Program | null = null;
    return {
      ...about("K10", { needs: ALL, takes: ["decider"] }),
      async inject({ place, sales }) {
        const [{ sale }] = sales as [PairSale];
        const leader = await leadingDecider(place);
        const { nextOffset } = await queueOf(sale);
        const moved = async (): Promise<boolean> => (await queueOf(sale)).nextOffset > nextOffset;
        await burstUntil(sales[0]!, moved, "some are decided");
        await leader.kill();
        killed = leader;
      },
      heal: async () => killed?.restart(),
    };
  },
  /** SIGSTOP of the decider with a batch in its hands; the other one takes over; SIGCONT. */
  K12: () => {
    let stopped: Program | null = null;
    return {
      ...about("K12", { needs: ALL, takes: ["decider"] }),
      async inject({ place, sales }) {
        const [{ sale }] = sales as [PairSale];
        const leader = await leadingDecider(place);
        const { epoch } = await queueOf(sale);
        await whileRowHeld(sale, async () => {
          const blocked = async (): Promise<boolean> => (await blockedSessions(sale.program)) > 0;
          await burstUntil(sales[0]!, blocked, "the decider waits for the event's row");
          stopTree(leader.pid);
          stopped = leader;
          await endLead(place);
          await until(async () => (await queueOf(sale)).epoch > epoch, "the other one takes over");
        });
      },
      async heal() {
        if (stopped !== null) continueTree(stopped.pid);
      },
    };
  },
};

function about(
  name: FaultName,
  way: Pick<PairFault, "needs" | "takes">,
): Pick<PairFault, "name" | "needs" | "takes"> {
  return { name, ...way };
}

async function nothing(): Promise<void> {}

/** Claims are on their way, where there is a door that takes any. */
async function burstAll({ sales, taken }: Round): Promise<void> {
  if (taken().has("door")) return;
  await Promise.all(sales.map(burst));
}

async function cutOne(proxy: FaultProxy, one: PairSale): Promise<void> {
  const trap = proxy.cutReply(1);
  await burstUntil(one, () => trap.isSprung(), "the reply came and was cut");
}

/** Runs with the reservations of v2 in flight, where they can be: no row is written meanwhile. */
async function whileReserved(round: Round, run: () => Promise<unknown>): Promise<void> {
  const { place, sales, taken } = round;
  const { sale } = sales[0]!;
  if (taken().has("postgres") || taken().has("door")) {
    await run();
    return;
  }
  await withWritesHeld(place.program, 0, async () => {
    const held = async (): Promise<number> =>
      Number(await redisCommand(place.redis.url, "HLEN", `stampede:{${sale.eventId}}:persons`));
    const { issued } = await readStored(sale);
    const reserved = async (): Promise<boolean> => (await held()) > issued;
    await burstUntil(sales[0]!, reserved, "some are reserved and not written");
    await run();
  });
}

/** Runs while every sale that can write has a transaction that holds its event's row. */
async function whileWriting(round: Round, run: () => Promise<void>): Promise<void> {
  const { place, sales, taken } = round;
  if (taken().has("postgres")) {
    await burstAll(round);
    await run();
    return;
  }
  const writesBy = ({ sale }: PairSale): readonly Thing[] =>
    queues(sale) ? ["kafka", "decider"] : reserves(sale) ? ["redis"] : [];
  const writing = sales.filter((one) => !writesBy(one).some((thing) => taken().has(thing)));
  await withWritesHeld(place.program, 0, async (client) => {
    for (const [n, one] of writing.entries()) {
      const waits = async (): Promise<boolean> => (await waitingWriters(client)).length > n;
      await burstUntil(one, waits, "its writer holds its row");
    }
    await Promise.all(sales.filter((one) => !writing.includes(one)).map(burst));
    await run();
  });
}

/** Ends the session that makes a stopped decider the leader; PostgreSQL would, after three seconds. */
async function endLead({ program }: PairPlace): Promise<void> {
  await withDatabase(program, async (client) => {
    const { rowCount } = await client.query(
      `SELECT pg_terminate_backend(l.pid) FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.granted
          AND l.classid = hashtext('stampede')::bigint & 4294967295
          AND l.objid = hashtext('decider')::bigint & 4294967295`,
    );
    assert.equal(rowCount, 1, "one leads");
  });
}
