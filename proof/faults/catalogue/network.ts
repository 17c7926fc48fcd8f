// Links that are slow, jittery, break now and then, deliver byte by byte, swallow everything, or keep acks for
// too long. Nothing may be told wrong, who cannot decide says so, and nobody else decides in their place.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import type { EngineName } from "@stampede/launcher";
import { REPLY_MAX } from "@stampede/launcher/testing";
import type { FaultProxy, Trap } from "@stampede/launcher/testing";
import { startProgram } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish, foundTheirRow, noteGoodClaim } from "../finish.ts";
import { marksOfAllCases } from "../marks.ts";
import {
  KAFKA_MECHANISMS,
  MECHANISMS,
  queues,
  REDIS_MECHANISMS,
  reserves,
  only,
} from "../mechanisms.ts";
import type { Mechanism } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { startBehindProxies } from "../support/proxy-program.ts";
import type { ProxiedProgram } from "../support/proxy-program.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  tally,
  throughInstance,
  withDatabase,
} from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

type AtProxies = Stage<ProxiedProgram>;

/** Few for those who decide in the row: each claim holds it for five round trips. */
const CROWD = { people: 40, limit: 10, spreadMs: 2_000, deadlineMs: 90_000 };
const SLICED_CROWD = { people: 300, limit: 100, spreadMs: 2_000, deadlineMs: 20_000 };
/** SECONDS=30 makes a black hole as long as the matrix's soak. */
const AWAY_MS = Number(process.env["SECONDS"] ?? 6) * 1_000;
/** Beyond the 4 s of a Produce's delivery. */
const HELD_MS = 6_000;
const TWICE = "a person is in the log twice, and the first record counted";

/** Who cannot serve without the engine; the others must not notice. */
const cannotServe: Readonly<Record<EngineName, (sale: { mechanism: Mechanism }) => boolean>> = {
  postgres: (sale) => !queues(sale),
  redis: reserves,
  kafka: queues,
};
const GOOD_CLAIM_MS_MAX = { postgres: 5_000, redis: 2_000, kafka: 15_000 } as const;

export const networkCases: readonly FaultCase[] = [
  {
    id: "N3",
    mechanisms: MECHANISMS,
    injects: "300 ± 200 ms for a round trip and 1 % resets to each engine",
    holds: "nothing is told wrong",
    runs: "all",
    // By its own chance: the proxies draw jitter and resets by the seed.
    place: "own",
    async run(stage) {
      const at = await startBehindProxies(stage.t, stage.random);
      const slow = { latencyMs: 150, jitterMs: 100, resetShare: 0.01 };
      await sell({ ...stage, at }, CROWD, () => linksOf(at).forEach((link) => link.set(slow)));
      stage.injected(linksOf(at).length);
    },
  },
  // Red when a statement has no deadline (`query_timeout` in engines/postgres/open.ts), a command none
  // (`withDeadline` in engines/redis/open.ts), or when a connection whose answer is missing goes back into the
  // pool (`broken` in `releasing`): the next claim would wait on it.
  ...(["postgres", "redis", "kafka"] as const).map((engine): FaultCase => ({
    id: "N4",
    mechanisms: MECHANISMS,
    injects: `the link to ${engine} swallows everything for ${AWAY_MS / 1_000} s, no FIN`,
    holds: "every answer is bounded, and all goes on when it is back",
    runs: "proof",
    place: "proxied",
    run: async (stage) => blackhole(stage, engine),
  })),
  {
    // Red when a client of an engine takes a part of a reply for the whole, or when a claim that was cut
    // off is told as `unavailable` (`runPlain(client, "COMMIT", "unknown")` in engines/postgres/open.ts).
    id: "N5",
    mechanisms: MECHANISMS,
    injects: "1-byte slices from each engine; COMMIT, EVALSHA, Produce n cut after 3 bytes",
    holds: "what is broken in the middle of a reply is told as unknown, and nothing is wrong",
    runs: "all",
    expects: [marksOfAllCases.cutMidBody],
    place: "proxied",
    async run(stage) {
      const traps: Trap[] = [];
      const told = await sell(stage, SLICED_CROWD, () => {
        for (const link of linksOf(stage.at)) {
          link.set({ sliceBytesMax: 1 });
          traps.push(link.cutReply(stage.pick(1, REPLY_MAX), 3));
        }
      });
      for (const trap of traps) happened(trap.isSprung(), "a reply was not cut");
      stage.injected(traps.length);
      for (const _ of traps) stage.met(marksOfAllCases.cutMidBody);
      stage.t.diagnostic(`${foundTheirRow(told).length} found their own row after it`);
    },
  },
];

export const slowStatementsCase: FaultCase = {
  id: "P12",
  mechanisms: MECHANISMS,
  injects: "300 ms more for each statement",
  holds: "slow is not lost, and never wrong",
  runs: "all",
  place: "proxied",
  async run(stage) {
    const told = await sell(stage, CROWD, () => stage.at.postgres.set({ latencyMs: 150 }));
    stage.injected();
    // Some people's own patience ends before their turn; the service never gives up a COMMIT.
    const lost = told.filter(({ outcome, status }) => outcome === "unknown" && status !== null);
    assert.deepEqual(lost, [], "slow is not lost");
  },
};

export const cutOffCase: FaultCase = {
  // Red when a claim falls back to another way (`redis.session()` in redis-counter/reservation-line.ts refuses it).
  id: "R9",
  mechanisms: REDIS_MECHANISMS,
  apart: true,
  injects: `the link of one of two instances to Redis swallows everything for ${HELD_MS} ms`,
  holds: "that instance sells nothing, and the other one goes on",
  runs: "all",
  place: "proxied",
  async run(stage) {
    const { program, redis } = stage.at;
    const { databaseUrl } = program;
    const other = await startProgram(stage.t, { DATABASE_URL: databaseUrl });
    const [limit, crowd] = [100, 200];
    const cut = await openSale(program, { mechanism: only(stage), limit });
    redis.set({ blackhole: true });
    stage.injected();
    // Half of the coupons at most: what is left must not be sold by the instance that is cut off.
    const [there, here] = await Promise.all([
      claimAtOnce(throughInstance(cut, other), people(limit / 2)),
      claimAtOnce(cut, people(crowd), { spreadMs: HELD_MS }),
    ]);
    assert.deepEqual(tally(there), { issued: limit / 2 });
    const { refused = 0, unknown = 0 } = tally(here);
    assert.equal(refused + unknown, crowd, JSON.stringify(tally(here)));
    assert.ok(refused > 0, "most are told that nothing was applied");
    redis.heal();
    const healedMs = performance.now();
    const within = { spreadMs: 500, deadlineMs: 10_000 };
    const again = await claimUntilAnswered(cut, people(crowd), within);
    noteGoodClaim(stage, cut, again, { healedMs });
    await finish(stage, cut, [...there, ...here, ...again], { healedMs });
  },
};

export const lateAcksCase: FaultCase = {
  // Red when a person counts by their last record (kafka-queue/decider/decide-batch.ts).
  id: "K5",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  injects: `the replies to Produce are held for ${HELD_MS} ms, and all claim again`,
  holds: "who claims again is decided once, by the first record",
  runs: "all",
  expects: [TWICE],
  place: "proxied",
  async run(stage) {
    const { program, kafka } = stage.at;
    const sale = await openSale(program, { mechanism: only(stage), limit: 100 });
    const told = await withDatabase(program, async (holder) => {
      // Nobody is decided meanwhile: who claims again would be told the row of their first record.
      await holder.query("BEGIN");
      await holder.query("SELECT 1 FROM events FOR UPDATE");
      const trap = kafka.holdReply(1);
      const within = { spreadMs: 300, deadlineMs: 20_000 };
      const claims = claimUntilAnswered(sale, people(200), within);
      await trap.sprung;
      stage.injected();
      await pause(HELD_MS);
      trap.release();
      const attempts = await claims;
      await holder.query("ROLLBACK");
      return attempts;
    });
    const healedMs = performance.now();
    happened((tally(told)["unknown"] ?? 0) > 0, JSON.stringify(tally(told)));
    const stored = await finish(stage, sale, told, { healedMs });
    for (const { userId, ticket } of stored.rows) {
      const tickets = told.flatMap((one) => (one.person === userId ? (one.ticket ?? []) : []));
      if (tickets.some((later) => ticket !== null && later > ticket)) stage.met(TWICE);
    }
  },
};

/** One sale per mechanism while `begin`'s fault lasts; then healed, finished and judged. */
async function sell(
  stage: AtProxies,
  { people: count, limit, spreadMs, deadlineMs }: typeof CROWD,
  begin: () => void,
): Promise<readonly Attempt[]> {
  const sales = await openAll(stage, limit);
  begin();
  const told = await Promise.all(
    sales.map(async (sale) => claimUntilAnswered(sale, people(count), { spreadMs, deadlineMs })),
  );
  for (const link of linksOf(stage.at)) link.heal();
  const healedMs = performance.now();
  for (const [n, { mechanism }] of sales.entries()) {
    stage.t.diagnostic(`${mechanism}: ${JSON.stringify(tally(told[n]!))}`);
  }
  await Promise.all(sales.map(async (sale, n) => finish(stage, sale, told[n]!, { healedMs })));
  return told.flat();
}

const BLACKHOLE = { people: 240, limit: 200, beforeMs: 500 } as const;
/** No request may last longer: the longest bound of the service is 8 s for a row. */
const ANSWER_MS_MAX = 12_000;
/** Who waited for as long met the black hole. */
const WAITED_MS = 1_000;

async function blackhole(stage: AtProxies, engine: EngineName): Promise<void> {
  const proxy = stage.at[engine];
  const sales = await openAll(stage, BLACKHOLE.limit);
  // They come before, during and after it.
  const spreadMs = AWAY_MS + 2 * BLACKHOLE.beforeMs;
  const within = { spreadMs, deadlineMs: spreadMs + 20_000 };
  const crowds = sales.map(async (sale) =>
    claimUntilAnswered(sale, people(BLACKHOLE.people), within),
  );
  // The moment and the fault are lengths of time, not waits for something.
  await pause(stage.pick(BLACKHOLE.beforeMs / 2, BLACKHOLE.beforeMs));
  proxy.set({ blackhole: true });
  await pause(AWAY_MS);
  const healedMs = performance.now();
  proxy.heal();
  stage.injected();
  const told = await Promise.all(crowds);
  await Promise.all(
    sales.map(async (sale, n) => {
      const affected = cannotServe[engine](sale);
      judgeAnswers(sale, told[n]!, { affected, engine });
      if (affected) {
        noteGoodClaim(stage, sale, told[n]!, { healedMs, msMax: GOOD_CLAIM_MS_MAX[engine] });
      }
      await finish(stage, sale, told[n]!, { healedMs });
    }),
  );
}

function judgeAnswers(
  { mechanism }: Sale,
  attempts: readonly Attempt[],
  { affected, engine }: { readonly affected: boolean; readonly engine: EngineName },
): void {
  const name = `${mechanism} without ${engine}`;
  const { refused = 0, unknown = 0 } = tally(attempts);
  // On a busy machine claims may all wait in line until the link is back, and then be served.
  const waited = attempts.some(({ sentMs, returnedMs }) => returnedMs - sentMs > WAITED_MS);
  if (affected) happened(refused + unknown > 0 || waited, `${name}: nobody met the fault`);
  else assert.equal(refused + unknown, 0, `${name} must not notice: ${refused + unknown} did`);
  const slow = attempts.filter(({ sentMs, returnedMs }) => returnedMs - sentMs > ANSWER_MS_MAX);
  assert.deepEqual(slow, [], `${name}: every answer is bounded`);
  const other = attempts.filter(
    ({ status }) => ![200, 201, 202, 409, 503].includes(Number(status)),
  );
  assert.deepEqual(other, [], `${name}: every request has an answer, and none is a 500`);
}

async function openAll({ at, mechanisms }: AtProxies, limit: number): Promise<readonly Sale[]> {
  return Promise.all(
    mechanisms.map(async (mechanism) => openSale(at.program, { mechanism, limit })),
  );
}

function linksOf({ postgres, redis, kafka }: ProxiedProgram): readonly FaultProxy[] {
  return [postgres, redis, kafka];
}
