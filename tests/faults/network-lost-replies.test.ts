// P4, R6, K4, A3, A6: the engine has done its work, and nobody here learns of it. The reply to COMMIT,
// EVALSHA or Produce number n is cut or kept by the proxy after it has left the server; with A3 and A6
// the service dies while it waits for it.
//
// Red when a lost COMMIT is told as `unavailable` (`runPlain(client, "COMMIT", "unknown")` in
// postgres/open.ts), when a lost EVALSHA is not repeated (`#notAnswered` in redis/claim-line.ts), when
// a Produce is repeated by another producer (`sameProducer` in kafka/log-writer.ts), or when the same
// person counts twice (`facts.mine` in decideClaim).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { Attempt, Mechanism } from "@stampede/lab";
import { marks } from "./marks.ts";
import { finishRow, foundTheirRow, startBehindProxies } from "./support/proxy-program.ts";
import { REPLY_MAX } from "./support/proxy.ts";
import type { Trap } from "./support/proxy.ts";
import { faultRow } from "./support/row.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  tally,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const PEOPLE = 300;
const LIMIT = 150;
/** They come one by one, so that several transactions and calls carry the winners. */
const SPREAD_MS = 1_500;
const DEADLINE_MS = 12_000;

const claims = async (sale: Sale, persons: readonly string[]): Promise<Attempt[]> =>
  claimUntilAnswered(sale, persons, { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS });

describe("a reply that is lost after the engine has done its work", { skip: engineMissing }, () => {
  for (const mechanism of MECHANISMS) {
    test(`P4 ${mechanism}: the reply to COMMIT is cut, and its rows stay and are found`, async (t) => {
      await cutCommits(t, mechanism);
    });
  }

  test("R6: the reply to EVALSHA is cut once, and the script is repeated without harm", async (t) => {
    await cutScripts(t, { timesInRow: 1 });
  });

  test("R6: the repeated script's reply is cut too, and its people are told that nobody knows", async (t) => {
    await cutScripts(t, { timesInRow: 2 });
  });

  test("K4: the reply to Produce is cut, and each claim is in the log once", async (t) => {
    const situation = "a Produce's reply was lost and its batch sent again";
    const fault = "the reply to Produce n is cut, twice";
    const row = faultRow(t, { row: "K4", mechanism: "kafka-queue", fault, expects: [situation] });
    const { program, kafka } = await startBehindProxies(t);
    const sale = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
    const traps = [kafka.cutReply(1), kafka.cutReply(row.pick(2, 4))];
    const told = await claims(sale, people(PEOPLE));
    row.injected(sprungOf(traps, 1));
    row.met(situation);
    const { refused = 0, unknown = 0 } = tally(told);
    assert.equal(refused + unknown, 0, "the same producer repeats it unnoticed");
    const tickets = told.flatMap(({ ticket }) => (ticket === null ? [] : [ticket]));
    const sorted = tickets.toSorted((one, other) => one - other);
    assert.deepEqual(sorted, [...sorted.keys()], "no claim took two places");
    await finishRow(row, sale, told, lastReturn(told));
  });
});

describe("a service that dies before the reply", { skip: engineMissing }, () => {
  for (const mechanism of MECHANISMS) {
    const title = `A3 ${mechanism}: SIGKILL after COMMIT was sent, and its rows stay`;
    test(title, async (t) => killAwaiting(t, { mechanism, row: "A3", held: "COMMIT" }));
  }

  test("A6: SIGKILL between Produce and its ack; who claims again is decided once", async (t) => {
    await killAwaiting(t, { mechanism: "kafka-queue", row: "A6", held: "Produce" });
  });
});

/** P4. v1 tells the one person behind the COMMIT that nobody knows; v2 and v3 read again by themselves. */
async function cutCommits(t: TestContext, mechanism: Mechanism): Promise<void> {
  const { commitLost: lost, foundOwnRow: found } = marks;
  const expects = mechanism === "row-lock" ? [lost, found] : [lost];
  const fault = "the reply to COMMIT n is cut, twice";
  const row = faultRow(t, { row: "P4", mechanism, fault, expects });
  const { program, postgres } = await startBehindProxies(t);
  const sale = await openSale(program, { mechanism, limit: LIMIT });
  const traps = [postgres.cutReply(1), postgres.cutReply(row.pick(2, 4))];
  const told = await claims(sale, people(PEOPLE));
  const cuts = sprungOf(traps, mechanism === "row-lock" ? traps.length : 1);
  row.injected(cuts);
  for (let cut = 0; cut < cuts; cut += 1) row.met(lost);
  const { refused = 0, unknown = 0 } = tally(told);
  assert.equal(refused, 0, "nobody may be told that a commit did not happen");
  assert.equal(unknown, mechanism === "row-lock" ? traps.length : 0, JSON.stringify(tally(told)));
  for (const _ of foundTheirRow(told)) {
    row.met(found);
    row.met(marks.unknownApplied);
  }
  if (mechanism === "row-lock") assert.equal(foundTheirRow(told).length, traps.length);
  await finishRow(row, sale, told, lastReturn(told));
}

/** R6. The other mechanisms sell at the same time and must not notice. */
async function cutScripts(t: TestContext, { timesInRow }: { timesInRow: 1 | 2 }): Promise<void> {
  const repeated = "an EVALSHA's reply was lost and the script repeated";
  const given = "the repetition's reply was lost too, and the claims told as unknown";
  const expects = [timesInRow === 1 ? repeated : given];
  const fault = `the reply to EVALSHA n is cut${timesInRow === 1 ? ", twice" : ", and that to n + 1"}`;
  const row = faultRow(t, { row: "R6", mechanism: "redis-counter", fault, expects });
  const { program, redis } = await startBehindProxies(t);
  const [sale, ...others] = await Promise.all(
    (["redis-counter", "row-lock", "kafka-queue"] as const).map(async (mechanism) =>
      openSale(program, { mechanism, limit: LIMIT }),
    ),
  );
  const first = row.pick(1, REPLY_MAX);
  const traps = [first, timesInRow === 1 ? first + 2 : first + 1].map((n) => redis.cutReply(n));
  const [told, ...calm] = await Promise.all(
    [sale!, ...others].map(async (one) => claims(one, people(PEOPLE))),
  );
  row.injected(sprungOf(traps, timesInRow));
  const { refused = 0, unknown = 0 } = tally(told!);
  if (timesInRow === 1) assert.equal(refused + unknown, 0, "a repeated script tells what it did");
  else assert.ok(unknown > 0, JSON.stringify(tally(told!)));
  row.met(timesInRow === 1 ? repeated : given);
  // Whoever came while the connection was made anew was certainly not sent to Redis.
  assert.ok(refused < PEOPLE, JSON.stringify(tally(told!)));
  for (const attempts of calm) {
    const { refused = 0, unknown = 0 } = tally(attempts);
    assert.equal(refused + unknown, 0, "v1 and v3 must not notice");
  }
  const ends = [sale!, ...others].map(async (one, n) => {
    const attempts = [told!, ...calm][n]!;
    await finishRow(row, one, attempts, lastReturn(attempts));
  });
  await Promise.all(ends);
}

type Killing = {
  readonly mechanism: Mechanism;
  readonly row: "A3" | "A6";
  readonly held: "COMMIT" | "Produce";
};

/** A3, A6. The reply is held while the service dies, so that what it would have learned is certain. */
async function killAwaiting(
  t: TestContext,
  { mechanism, row: name, held }: Killing,
): Promise<void> {
  const situation = `SIGKILL while the reply to ${held} was on its way`;
  const fault = `SIGKILL of the service while it waits for the reply to ${held} n`;
  const row = faultRow(t, { row: name, mechanism, fault, expects: [situation] });
  const { program, postgres, kafka } = await startBehindProxies(t);
  const sale = await openSale(program, { mechanism, limit: LIMIT });
  const trap = (held === "COMMIT" ? postgres : kafka).holdReply(row.pick(1, REPLY_MAX));
  const persons = people(PEOPLE);
  const killed = trap.sprung.then(async () => program.kill());
  const first = await claimAtOnce(sale, persons, { spreadMs: SPREAD_MS });
  assert.ok(trap.isSprung(), "the fault never happened");
  await killed;
  row.injected();
  row.met(situation);
  await program.restart();
  const healedMs = performance.now();
  // Everybody once more, also who was answered before: whatever they were told must still be so.
  const again = await claims(sale, persons);
  const told = [...first, ...again];
  if (mechanism !== "kafka-queue" || held === "Produce") {
    assert.ok(
      (tally(first)["unknown"] ?? 0) > 0,
      `the kill hit nobody: ${JSON.stringify(tally(first))}`,
    );
  }
  await finishRow(row, sale, told, healedMs);
}

/**
 * How many of them sprung. On a busy machine batches grow and there are fewer of them, so the second
 * of two may never be reached; the first must be.
 */
function sprungOf(traps: readonly Trap[], least: number): number {
  const sprung = traps.filter((trap) => trap.isSprung()).length;
  assert.ok(sprung >= least, "a fault that never happened proves nothing");
  return sprung;
}

function lastReturn(attempts: readonly Attempt[]): number {
  return attempts.reduce((last, { returnedMs }) => Math.max(last, returnedMs), 0);
}
