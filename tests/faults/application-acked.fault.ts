// A7: SIGKILL of the service when Kafka's ack is there and no 202 has been read. The record is in the log,
// its person does not know; who claims again is in the log twice, and the first record counts.
//
// Red when a person counts by their last record (kafka/decide-batch.ts), or when the decider starts
// anywhere but at the mark in PostgreSQL (`takeOver` there).
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { finishRow, foundTheirRow, startBehindProxies } from "./support/proxy-program.ts";
import { REPLY_MAX } from "./support/proxy.ts";
import { faultRow } from "./support/row.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  engineMissing,
  openSale,
  people,
  tally,
} from "./support/sale.ts";

const KILLS = 3;
const PEOPLE = 100;
/** So many that some are left for the last kill. */
const LIMIT = 250;
const SPREAD_MS = 500;
const DEADLINE_MS = 12_000;
/**
 * An ack and the 202s that follow from it are one turn of the event loop. The first kill comes before
 * it for sure, since the service is stopped when the ack reaches it; the others come around it.
 */
const KILL_AFTER_MS_MAX = 2;
const ARRIVES_MS = 50;

const FOUND = "a person who was never answered found the row of their first record";

test("A7: SIGKILL between the ack and the 202", { skip: engineMissing }, async (t) => {
  const fault = "SIGKILL of the service at the moment at which the ack of a Produce reaches it";
  const about = { row: "A7", mechanism: "kafka-queue", fault, expects: [FOUND] } as const;
  const row = faultRow(t, about);
  const { program, kafka } = await startBehindProxies(t);
  const sale = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
  const told: Attempt[] = [];
  let healedMs = 0;
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const persons = people(PEOPLE);
    const trap = kafka.holdReply(row.pick(1, REPLY_MAX));
    const killAfterMs = row.pick(0, KILL_AFTER_MS_MAX);
    const killAsAcked = async (): Promise<void> => {
      await trap.sprung;
      if (kill === 1) process.kill(program.pid, "SIGSTOP");
      trap.release();
      await pause(kill === 1 ? ARRIVES_MS : killAfterMs);
      await program.kill();
    };
    const killed = killAsAcked();
    const first = await claimAtOnce(sale, persons, { spreadMs: SPREAD_MS });
    assert.ok(trap.isSprung(), "the fault never happened");
    await killed;
    const { unknown = 0 } = tally(first);
    assert.ok(kill > 1 || unknown > 0, `the kill hit nobody: ${JSON.stringify(tally(first))}`);
    if (unknown > 0) row.injected();
    await program.restart();
    healedMs = performance.now();
    const within = { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS };
    told.push(...first, ...(await claimUntilAnswered(sale, persons, within)));
  }
  const stored = await finishRow(row, sale, told, healedMs);
  if (foundTheirRow(told).length > 0) row.met(FOUND);
  for (const { userId, ticket } of stored.rows) {
    const tickets = told.flatMap((one) => (one.person === userId ? (one.ticket ?? []) : []));
    const [least] = tickets.toSorted((one, other) => one - other);
    if (least !== undefined && ticket !== null && ticket < least) row.met(FOUND);
  }
});
