// R4, R11, R14: Redis fails over to a replica that is a second behind, so that reservations are lost which
// Redis had acknowledged; and the old primary answers again where one of two instances still asks it.
// The others notice nothing.
//
// R14: the old primary goes on answering, as a replica, where the service's connection still leads. Red when
// READONLY is an answer like any other (`isUnusable` in engines/redis/faults.ts) and the role is not looked at
// (`keepLooking` in engines/redis/contact.ts).
//
// Red when what a replica or an old primary knows is trusted: without the run and the scripts in what
// `open` must be (`stampOf` in redis-counter/scripts.ts), neither server is closed and rebuilt. Nobody is told
// wrong even then, since the rows decide; a generation only keeps Redis from counting in vain.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { startProxy, until } from "@stampede/launcher/testing";
import type { FaultProxy } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { assertOthersNoticeNothing, sellUnderFault } from "../course.ts";
import type { FaultSale } from "../course.ts";
import { finish, noteGoodClaim } from "../finish.ts";
import { MECHANISMS, REDIS_MECHANISMS, reserves, only } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { PrivatePlace } from "../places.ts";
import { whileRowHeld } from "../support/held-row.ts";
import { startOnPrivateEngines } from "../support/private-engines.ts";
import type { PrivateEngine } from "../support/private-engines.ts";
import { redisCommand } from "../support/redis-command.ts";
import { startReplica } from "../support/redis-replica.ts";
import type { Replica } from "../support/redis-replica.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  readStored,
  throughInstance,
} from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";
import { counted, REBUILDS, untilEngine } from "../support/service-state.ts";

/** How far the replica is behind when it is promoted. */
const BEHIND_MS = 1_000;
/** How long the old primary answers one of two instances, at least; longer until both were rebuilt. */
const SPLIT_MS = 4_000;
const SPLIT_MS_MAX = 12_000;
const LOOK_EVERY_MS = 100;
/** Long enough that the sale is not over before Redis is lost, or two servers differ. */
const LONG = { limit: 400, people: 600, spreadMs: 7_000 };
const LONG_ON_TWO = { limit: 700, people: 700, spreadMs: 7_000 };
const PEOPLE_THERE = 240;
const SOME = 40;

const HAS_ROW = "a lost reservation has its row";
const CLAIMABLE = "a lost reservation was claimable again";
const BOTH_REBUILT = "both servers were rebuilt";
const ON_ONE = "a reservation is on one server only";

export const failoverCases: readonly FaultCase[] = [
  {
    id: "R4",
    mechanisms: MECHANISMS,
    injects: "SIGKILL of Redis; its replica, cut off for 1 s, takes its place",
    holds: "what the replica does not know has its row",
    runs: "all",
    needs: ["proc"],
    expects: [HAS_ROW],
    place: "own",
    run: promoteReplica,
  },
  {
    id: "R4",
    mechanisms: REDIS_MECHANISMS,
    apart: true,
    injects: "SIGKILL of Redis and the service; a replica, cut off for 1 s, takes its place",
    holds: "a reservation that nobody knows of is claimable again",
    runs: "all",
    needs: ["proc"],
    expects: [CLAIMABLE],
    place: "own",
    run: loseBoth,
  },
];

export const managedFailoverCase: FaultCase = {
  id: "R14",
  mechanisms: MECHANISMS,
  injects:
    "Redis becomes a replica of its replica, which takes its place for new connections; the old ones stay open",
  holds: "the old connection is left, nobody is told wrong, and others notice nothing",
  runs: "proof",
  needs: ["proc"],
  place: "own",
  run: changePlaces,
};

export const oldPrimaryCase: FaultCase = {
  id: "R11",
  mechanisms: MECHANISMS,
  injects:
    "two instances on two Redis servers for 4 s or more: the promoted replica, and the old primary",
  holds: "the rows decide",
  runs: "all",
  needs: ["proc"],
  expects: [BOTH_REBUILT, ON_ONE],
  place: "own",
  run: askOldPrimary,
};

async function promoteReplica(stage: Stage): Promise<void> {
  const at = await startBeforeReplica(stage, 1);
  const proxy = at.proxies[0]!;
  let lost: readonly string[] = [];
  await sellUnderFault<PrivatePlace>(
    { ...stage, at },
    {
      reserving: LONG,
      goodClaimMsMax: 2_000,
      async inject({ sales, passBy, pick, begins }) {
        const { sale } = counterOf(sales);
        await at.replica.untilEven();
        begins();
        at.replica.cutOff();
        // While another session has the row, nobody's reservation becomes one.
        lost = await whileRowHeld(sale, async () => {
          await Promise.all([passBy(), pause(BEHIND_MS)]);
          return lostWith(at, sale);
        });
        proxy.pointTo(at.replica.port);
        // By chance the service meets the replica before its promotion, and is told that it only reads.
        const early = pick(0, 1) === 1;
        if (early) await until(() => proxy.connections() > 0, "the service has found the replica");
        await at.replica.promote();
      },
      async after(sold) {
        assertOthersNoticeNothing(sold);
        const { rows } = await readStored(counterOf(sold).sale);
        // Its owner lives and writes it, whatever Redis has forgotten.
        if (rows.some(({ userId }) => lost.includes(userId))) stage.met(HAS_ROW);
        assert.ok((await counted(at.program, REBUILDS)) > 0, "rebuilt from the rows");
      },
    },
  );
}

async function changePlaces(stage: Stage): Promise<void> {
  const at = await startBeforeReplica(stage, 1);
  const { old, replica } = at;
  const { password } = new URL(old.url);
  await sellUnderFault<PrivatePlace>(
    { ...stage, at: { ...at, redis: { ...at.redis, url: replica.url } } },
    {
      reserving: LONG,
      goodClaimMsMax: 2_000,
      async inject({ passBy, begins, ends }) {
        await replica.untilEven();
        begins();
        await redisCommand(old.url, "CONFIG", "SET", "masterauth", password);
        await redisCommand(old.url, "REPLICAOF", "127.0.0.1", String(replica.port));
        await Promise.all([passBy(), untilEngine(at.program, "redis", "down")]);
        await replica.promote();
        at.proxies[0]!.pointTo(replica.port);
        ends();
      },
      async after(sold) {
        assertOthersNoticeNothing(sold);
        assert.ok((await counted(at.program, REBUILDS)) > 0, "rebuilt from the rows");
      },
    },
  );
}

async function loseBoth(stage: Stage): Promise<void> {
  const at = await startBeforeReplica(stage, 1);
  const mechanism = only(stage);
  const sale = await openSale(at.program, { mechanism, limit: SOME * 3 });
  const told = await claimAtOnce(sale, people(SOME));
  await at.replica.untilEven();
  at.replica.cutOff();
  const { lost, left } = await whileRowHeld(sale, async () => {
    const left = claimAtOnce(sale, people(SOME), { spreadMs: BEHIND_MS / 2 });
    await pause(BEHIND_MS);
    await at.program.kill();
    return { left, lost: await lostWith(at, sale) };
  });
  stage.injected();
  told.push(...(await left));
  at.proxies[0]!.pointTo(at.replica.port);
  await at.replica.promote();
  await at.program.restart();
  const healedMs = performance.now();
  const persons = [...told.slice(SOME).map(({ person }) => person), ...people(SOME * 3)];
  const within = { spreadMs: 500, deadlineMs: 20_000 };
  const later = await claimUntilAnswered(sale, persons, within);
  noteGoodClaim(stage, sale, later, { healedMs });
  for (const { person, outcome } of later) {
    if (outcome === "issued" && lost.includes(person)) stage.met(CLAIMABLE);
  }
  await finish(stage, sale, [...told, ...later], { healedMs });
}

async function askOldPrimary(stage: Stage): Promise<void> {
  const at = await startBeforeReplica(stage, 2);
  const [here, there] = at.proxies;
  const [before, other] = [at.program, at.others[0]!];
  await sellUnderFault<PrivatePlace>(
    { ...stage, at },
    {
      reserving: LONG_ON_TWO,
      goodClaimMsMax: 2_000,
      async inject({ sales, ends }) {
        const { sale } = counterOf(sales);
        at.replica.cutOff();
        await pause(BEHIND_MS);
        await at.replica.promote();
        here!.pointTo(at.replica.port);
        here!.resetAll();
        const crowds = sales.map(async (one) => claimThere(one, other));
        const splitMs = performance.now() + SPLIT_MS;
        const endMs = performance.now() + SPLIT_MS_MAX;
        while (performance.now() < splitMs || !(await rebuiltByAll([before, other]))) {
          happened(performance.now() < endMs, "a server was not rebuilt while they were two");
          const [one, two] = [await personsIn(at.replica, sale), await personsIn(at.old, sale)];
          if (differ(one, two)) stage.met(ON_ONE);
          await pause(LOOK_EVERY_MS);
        }
        stage.met(BOTH_REBUILT);
        there!.pointTo(at.replica.port);
        there!.resetAll();
        ends();
        for (const [n, crowd] of crowds.entries()) sales[n]!.told.push(...(await crowd));
      },
      after: assertOthersNoticeNothing,
    },
  );
}

type BeforeReplica = PrivatePlace & {
  /** What each instance reaches Redis through. */
  readonly proxies: readonly FaultProxy[];
  /** The primary by its own address; `redis` is what the first instance takes for it. */
  readonly old: PrivateEngine;
  readonly replica: Replica;
};

async function startBeforeReplica({ t }: Stage, instances: number): Promise<BeforeReplica> {
  const proxies: FaultProxy[] = [];
  const at = await startOnPrivateEngines(t, {
    instances,
    async environment({ redis }) {
      const proxy = await startProxy(t, { port: Number(new URL(redis.url).port) });
      proxies.push(proxy);
      return { REDIS_URL: proxy.through(redis.url) };
    },
  });
  const replica = await startReplica(t, at.redis);
  const redis = { ...at.redis, url: proxies[0]!.through(at.redis.url) };
  return { ...at, redis, proxies, replica, old: at.redis };
}

/** Kills the old primary; those whose reservations it had acknowledged and its replica does not know. */
async function lostWith({ old, replica }: BeforeReplica, sale: Sale): Promise<readonly string[]> {
  const known = await personsIn(replica, sale);
  const had = await personsIn(old, sale);
  await old.kill();
  const lost = had.filter((person) => !known.includes(person));
  happened(lost.length > 0, "Redis lost no reservation that it had acknowledged");
  return lost;
}

function counterOf<Some extends FaultSale>(sales: readonly Some[]): Some {
  return sales.find(({ sale }) => reserves(sale))!;
}

async function personsIn({ url }: { readonly url: string }, sale: Sale): Promise<string[]> {
  const persons = await redisCommand(url, "HKEYS", `stampede:{${sale.eventId}}:persons`);
  assert.ok(Array.isArray(persons));
  return persons.map(String);
}

function differ(one: readonly string[], other: readonly string[]): boolean {
  return one.toSorted().join() !== other.toSorted().join();
}

async function rebuiltByAll(programs: readonly Program[]): Promise<boolean> {
  const times = await Promise.all(programs.map(async (program) => counted(program, REBUILDS)));
  return times.every((count) => count > 0);
}

/** Others come to the instance that still asks the old primary. */
async function claimThere({ sale }: FaultSale, program: Program): Promise<Attempt[]> {
  const elsewhere = throughInstance(sale, program);
  const within = { spreadMs: SPLIT_MS, deadlineMs: 30_000 };
  return claimUntilAnswered(elsewhere, people(PEOPLE_THERE), within);
}
