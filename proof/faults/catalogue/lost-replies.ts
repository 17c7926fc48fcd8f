// P4, R6, K4, A3, A6: the engine has done its work, and nobody here learns of it. The reply to COMMIT,
// EVALSHA or Produce number n is cut or kept by the proxy after it has left the server; with A3 and A6
// the service dies while it waits for it.
//
// Red when a lost COMMIT is told as `unavailable` (`runPlain(client, "COMMIT", "unknown")` in
// engines/postgres/open.ts), when a lost EVALSHA is not repeated (`#notAnswered` in redis-counter/reservation-line.ts), when
// a Produce is repeated by another producer (`sameProducer` in kafka-queue/log/log-writer.ts), or when the same
// person counts twice (`facts.mine` in decideClaim).
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { REPLY_MAX, until } from "@stampede/launcher/testing";
import type { Trap } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { finish, foundTheirRow } from "../finish.ts";
import { marks } from "../marks.ts";
import {
  KAFKA_MECHANISMS,
  MECHANISMS,
  queues,
  REDIS_MECHANISMS,
  reserves,
  resolvesLostCommit,
  only,
} from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { ProxiedProgram } from "../support/proxy-program.ts";
import { claimAtOnce, claimUntilAnswered, openSale, people, tally } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const PEOPLE = 300;
const LIMIT = 150;
/** They come one by one, so that several transactions and calls carry the winners. */
const SPREAD_MS = 1_500;
const DEADLINE_MS = 12_000;

const SENT_AGAIN = "a Produce's reply was lost and its batch sent again";
const RUN_AGAIN = "an EVALSHA's reply was lost and the script repeated";
const GIVEN_UP = "the repetition's reply was lost too, and the claims told as unknown";

export const lostCommitCase: FaultCase = {
  id: "P4",
  mechanisms: MECHANISMS,
  apart: true,
  injects: "the reply to COMMIT n is cut, twice",
  holds: "its rows stay and are found, and nobody is told that they were not written",
  runs: "test",
  expects: (mechanism) =>
    resolvesLostCommit({ mechanism }) ? [marks.commitLost] : [marks.commitLost, marks.foundOwnRow],
  place: "proxied",
  run: cutCommits,
};

export const lostScriptCases: readonly FaultCase[] = [
  {
    id: "R6",
    mechanisms: REDIS_MECHANISMS,
    apart: true,
    injects: "the reply to EVALSHA n is cut, twice",
    holds: "the script is repeated without harm, and all others notice nothing",
    runs: "test",
    expects: [RUN_AGAIN],
    place: "proxied",
    run: async (stage) => cutScripts(stage, 1),
  },
  {
    id: "R6",
    mechanisms: REDIS_MECHANISMS,
    apart: true,
    injects: "the reply to EVALSHA n is cut, and that to n + 1",
    holds: "its people are told that nobody knows, and all others notice nothing",
    runs: "proof",
    expects: [GIVEN_UP],
    place: "proxied",
    run: async (stage) => cutScripts(stage, 2),
  },
];

export const lostProduceCase: FaultCase = {
  id: "K4",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  injects: "the reply to Produce n is cut, twice",
  holds: "each claim is in the log once, and nobody notices",
  runs: "test",
  expects: [SENT_AGAIN],
  place: "proxied",
  async run(stage) {
    const { program, kafka } = stage.at;
    const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
    const traps = [kafka.cutReply(1), kafka.cutReply(stage.pick(2, 4))];
    const told = await claims(sale, people(PEOPLE));
    kafka.heal();
    stage.injected(sprungOf(traps, 1));
    stage.met(SENT_AGAIN);
    const { refused = 0, unknown = 0 } = tally(told);
    assert.equal(refused + unknown, 0, "the same producer repeats it unnoticed");
    const tickets = told.flatMap(({ ticket }) => (ticket === null ? [] : [ticket]));
    const sorted = tickets.toSorted((one, other) => one - other);
    assert.deepEqual(sorted, [...sorted.keys()], "no claim took two places");
    await finish(stage, sale, told);
  },
};

export const awaitingCases: readonly FaultCase[] = [
  {
    id: "A3",
    mechanisms: MECHANISMS,
    apart: true,
    injects: "SIGKILL of the service while it waits for the reply to COMMIT n",
    holds: "its rows stay, and whoever claims again finds them",
    runs: "test",
    place: "proxied",
    run: async (stage) => killAwaiting(stage, "COMMIT"),
  },
  {
    id: "A6",
    mechanisms: KAFKA_MECHANISMS,
    apart: true,
    injects: "SIGKILL of the service while it waits for the reply to Produce n",
    holds: "who claims again is decided once",
    runs: "proof",
    place: "proxied",
    run: async (stage) => killAwaiting(stage, "Produce"),
  },
];

type AtProxies = Stage<ProxiedProgram>;

/** Without a way to find out, the one person behind the COMMIT is told that nobody knows. */
async function cutCommits(stage: AtProxies): Promise<void> {
  const { program, postgres } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const traps = [postgres.cutReply(1), postgres.cutReply(stage.pick(2, 4))];
  const told = await claims(sale, people(PEOPLE));
  // A queue is decided behind its answers.
  if (queues(sale)) await until(() => traps[0]!.isSprung(), "a COMMIT of the decider was cut");
  postgres.heal();
  const resolves = resolvesLostCommit(sale);
  const cuts = sprungOf(traps, resolves ? 1 : traps.length);
  stage.injected(cuts);
  for (let cut = 0; cut < cuts; cut += 1) stage.met(marks.commitLost);
  const { refused = 0, unknown = 0 } = tally(told);
  assert.equal(refused, 0, "nobody may be told that a commit did not happen");
  assert.equal(unknown, resolves ? 0 : traps.length, JSON.stringify(tally(told)));
  const found = foundTheirRow(told);
  for (const _ of found) {
    stage.met(marks.foundOwnRow);
    stage.met(marks.unknownApplied);
  }
  if (!resolves) assert.equal(found.length, traps.length);
  await finish(stage, sale, told);
}

/** The other mechanisms sell at the same time and must not notice. */
async function cutScripts(stage: AtProxies, timesInRow: 1 | 2): Promise<void> {
  const { program, redis } = stage.at;
  const sales = await Promise.all(
    MECHANISMS.map(async (mechanism) => openSale(program, { mechanism, limit: LIMIT })),
  );
  const first = stage.pick(1, REPLY_MAX);
  const traps = [first, timesInRow === 1 ? first + 2 : first + 1].map((n) => redis.cutReply(n));
  const told = await Promise.all(sales.map(async (sale) => claims(sale, people(PEOPLE))));
  redis.heal();
  stage.injected(sprungOf(traps, timesInRow));
  for (const [n, sale] of sales.entries()) {
    const { refused = 0, unknown = 0 } = tally(told[n]!);
    const counts = `${sale.mechanism}: ${JSON.stringify(tally(told[n]!))}`;
    if (!reserves(sale) || timesInRow === 1) assert.equal(refused + unknown, 0, counts);
    else assert.ok(unknown > 0, counts);
    // Whoever came while the connection was made anew was certainly not sent to Redis.
    assert.ok(refused < PEOPLE, counts);
  }
  stage.met(timesInRow === 1 ? RUN_AGAIN : GIVEN_UP);
  await Promise.all(sales.map(async (sale, n) => finish(stage, sale, told[n]!)));
}

/** The reply is held while the service dies, so that what it would have learned is certain. */
async function killAwaiting(stage: AtProxies, held: "COMMIT" | "Produce"): Promise<void> {
  const { program, postgres, kafka } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const trap = (held === "COMMIT" ? postgres : kafka).holdReply(stage.pick(1, REPLY_MAX));
  const persons = people(PEOPLE);
  const killed = trap.sprung.then(async () => program.kill());
  const first = await claimAtOnce(sale, persons, { spreadMs: SPREAD_MS });
  happened(trap.isSprung(), "no reply was held");
  await killed;
  trap.release();
  stage.injected();
  await program.restart();
  const healedMs = performance.now();
  // Everybody once more, also who was answered before: whatever they were told must still be so.
  const again = await claims(sale, persons);
  if (!queues(sale) || held === "Produce") {
    const { unknown = 0 } = tally(first);
    happened(unknown > 0, `the kill hit nobody: ${JSON.stringify(tally(first))}`);
  }
  await finish(stage, sale, [...first, ...again], { healedMs });
}

async function claims(sale: Sale, persons: readonly string[]): Promise<Attempt[]> {
  return claimUntilAnswered(sale, persons, { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS });
}

/**
 * How many of them sprung. On a busy machine batches grow and there are fewer of them, so the second
 * of two may never be reached; the first must be.
 */
function sprungOf(traps: readonly Trap[], least: number): number {
  const sprung = traps.filter((trap) => trap.isSprung()).length;
  happened(sprung >= least, "too few replies were cut");
  return sprung;
}
