// R9, K5, P7: one instance is cut off from Redis; Kafka's acks come too late; another session holds
// the event's row. Whoever cannot decide says so, and nobody else decides in their place.
//
// Red when a claim falls back to another way (`redis.session()` in redis/claim-line.ts is what refuses
// it), when a person counts by their last record (kafka/decide-batch.ts), or when a wait for the lock
// has no end (`lock_timeout` in postgres/open.ts).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startProgram } from "../support/program.ts";
import { finishRow, firstGoodMs, startBehindProxies } from "./support/proxy-program.ts";
import { faultRow } from "./support/row.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  tally,
  throughInstance,
  withDatabase,
} from "./support/sale.ts";

const PEOPLE = 200;
const LIMIT = 100;
/** Beyond the 4 s of a Produce's delivery and of a wait for a lock. */
const HELD_MS = 6_000;

describe("an engine that does not answer in time", { skip: engineMissing }, () => {
  test("R9: an instance without its link to Redis sells nothing, the other one goes on", async (t) => {
    const fault = `the link of one of two instances to Redis swallows everything for ${HELD_MS} ms`;
    const row = faultRow(t, { row: "R9", mechanism: "redis-counter", fault });
    const { program, redis } = await startBehindProxies(t);
    const other = await startProgram(t, { DATABASE_URL: program.databaseUrl });
    const cut = await openSale(program, { mechanism: "redis-counter", limit: LIMIT });
    const well = throughInstance(cut, other);
    redis.set({ blackhole: true });
    row.injected();
    // Half of the coupons at most: what is left must not be sold by the instance that is cut off.
    const [there, here] = await Promise.all([
      claimAtOnce(well, people(LIMIT / 2)),
      claimAtOnce(cut, people(PEOPLE), { spreadMs: HELD_MS }),
    ]);
    assert.deepEqual(tally(there), { issued: LIMIT / 2 });
    const { refused = 0, unknown = 0 } = tally(here);
    assert.equal(refused + unknown, PEOPLE, JSON.stringify(tally(here)));
    assert.ok(refused > 0, "most are told that nothing was applied");
    redis.heal();
    const healedMs = performance.now();
    const within = { spreadMs: 500, deadlineMs: 10_000 };
    const again = await claimUntilAnswered(cut, people(PEOPLE), within);
    row.recovered("L3", firstGoodMs(again, healedMs));
    await finishRow(row, cut, [...there, ...here, ...again], healedMs);
  });

  test("K5: acks come after the delivery timeout; who claims again is decided once, by the first", async (t) => {
    const twice = "a person is in the log twice, and the first record counted";
    const fault = `the replies to Produce are held for ${HELD_MS} ms, and all claim again`;
    const row = faultRow(t, { row: "K5", mechanism: "kafka-queue", fault, expects: [twice] });
    const { program, kafka } = await startBehindProxies(t);
    const sale = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
    const told = await withDatabase(program, async (holder) => {
      // Nobody is decided meanwhile: who claims again would be told the row of their first record.
      await holder.query("BEGIN");
      await holder.query("SELECT 1 FROM events FOR UPDATE");
      const trap = kafka.holdReply(1);
      const claims = claimUntilAnswered(sale, people(PEOPLE), {
        spreadMs: 300,
        deadlineMs: 20_000,
      });
      await trap.sprung;
      row.injected();
      await pause(HELD_MS);
      trap.release();
      const attempts = await claims;
      await holder.query("ROLLBACK");
      return attempts;
    });
    const healedMs = performance.now();
    assert.ok((tally(told)["unknown"] ?? 0) > 0, JSON.stringify(tally(told)));
    const stored = await finishRow(row, sale, told, healedMs);
    for (const { userId, ticket } of stored.rows) {
      const tickets = told.flatMap((one) => (one.person === userId ? (one.ticket ?? []) : []));
      if (tickets.some((later) => ticket !== null && later > ticket)) row.met(twice);
    }
  });

  test("P7: another session holds the event's row: v1 applies nothing, v2 and v3 write it later", async (t) => {
    const fault = `another session holds the event's row for ${HELD_MS} ms in mid-sale`;
    const row = faultRow(t, { row: "P7", mechanism: "all", fault });
    const { program } = await startBehindProxies(t);
    const sales = await Promise.all(
      MECHANISMS.map(async (mechanism) => openSale(program, { mechanism, limit: LIMIT })),
    );
    const crowds = await withDatabase(program, async (holder) => {
      await holder.query("BEGIN");
      await holder.query("SELECT 1 FROM events FOR UPDATE");
      row.injected();
      const within = { spreadMs: 2 * HELD_MS, deadlineMs: 30_000 };
      const started = sales.map(async (sale) => claimUntilAnswered(sale, people(PEOPLE), within));
      await pause(HELD_MS);
      await holder.query("ROLLBACK");
      return { started, healedMs: performance.now() };
    });
    const { started, healedMs } = crowds;
    const ends = sales.map(async (sale, n) => {
      const told = await started[n]!;
      const { refused = 0, unknown = 0 } = tally(told);
      if (sale.mechanism === "row-lock") {
        assert.ok(refused > 0, "the bounded wait for the lock met nobody");
        assert.equal(unknown, 0, "COMMIT was never sent");
      }
      if (sale.mechanism === "redis-counter") assert.ok(unknown > 0, "reserved is not refused");
      if (sale.mechanism === "kafka-queue") assert.equal(refused + unknown, 0, "the door is open");
      row.recovered("L3", firstGoodMs(told, healedMs));
      await finishRow(row, sale, told, performance.now());
    });
    await Promise.all(ends);
  });
});
