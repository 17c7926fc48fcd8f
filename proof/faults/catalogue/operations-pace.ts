// O1, S27: the pace is changed while a line of people is decided: no second decides more than the
// pace that counts, by the commits that moved the mark. And S5, S13: the last coupon goes while a paced
// line behind it is undecided.
//
// Red when the pace of an earlier reading is used instead of the locked row's (`event.pace` in
// kafka/decide-batch.ts); the second test when the door tells sold out by the log's length, or only
// once everything is decided (`judged.issued === judged.limit` in kafka/kafka-queue-issuer.ts).
import assert from "node:assert/strict";
import { test } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import { startProgram } from "../support/program.ts";
import { marks } from "./marks.ts";
import { queueOf } from "./support/kafka-sale.ts";
import { changeEvent, endSale, makeEvent, saleOf } from "./support/operations.ts";
import { faultRow } from "./support/row.ts";
import {
  claimAtOnce,
  engineMissing,
  people,
  readStored,
  tally,
  until,
  withDatabase,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const PEOPLE = 120;
const PACE = 60;
const SLOWER_PACE = 30;
const WINDOW_MS = 1_000;
/** So many that deciding all of them takes six seconds. */
const LINE = 400;
const LATE = 20;

test("the pace is changed while people are in line", { skip: engineMissing }, async (t) => {
  const row = faultRow(t, {
    row: "O1",
    mechanism: "kafka-queue",
    fault: `the pace goes from ${PACE} to ${SLOWER_PACE} to none while people are in line`,
  });
  const program = await startProgram(t);
  const id = `paced-${people(1)[0]}`;
  const mechanism = "kafka-queue";
  const made = await makeEvent(program, { id, mechanism, limit: PEOPLE, pace: PACE });
  assert.ok(made.event !== null, made.problem ?? "");
  const sale = saleOf(program, made.event);
  await startWatch(sale);
  const told = await claimAtOnce(sale, people(PEOPLE));
  assert.deepEqual(tally(told), { queued: PEOPLE });
  const decided = async (count: number): Promise<void> =>
    until(async () => (await queueOf(sale)).nextOffset >= count, `${count} are decided`);
  await decided(PACE / 2);
  const slower = await changeEvent(program, made.event, { pace: SLOWER_PACE });
  assert.ok(slower.event !== null, slower.problem ?? "");
  row.injected();
  // A second and a half of the slower pace, after a second that may still count the faster one.
  await decided(PACE + SLOWER_PACE + SLOWER_PACE / 2);
  const { pace, mostOf } = await watched(sale);
  assert.ok(pace.has(PACE) && pace.has(SLOWER_PACE), "both paces decided somebody");
  for (const [allowed, most] of mostOf) {
    assert.ok(most <= allowed, `S27: ${most} tickets in one second at a pace of ${allowed}`);
  }
  const free = await changeEvent(program, slower.event, { pace: null });
  assert.equal(free.status, 200, free.problem ?? "");
  row.injected();
  const rows = await endSale(sale, { row, told, brokers: testEngine("kafka") });
  assert.equal(rows, PEOPLE, "everybody who queued is decided");
});

test("the last coupon goes while a line is undecided", { skip: engineMissing }, async (t) => {
  const row = faultRow(t, {
    row: "O1",
    mechanism: "kafka-queue",
    fault: `a pace of ${PACE} holds the line: people ask before and after the last coupon is a row`,
    expects: [marks.soldOutUndecided],
  });
  const program = await startProgram(t);
  const id = `line-${people(1)[0]}`;
  const wanted = { id, mechanism: "kafka-queue", limit: PACE, pace: PACE } as const;
  const made = await makeEvent(program, wanted);
  assert.ok(made.event !== null, made.problem ?? "");
  row.injected();
  const sale = saleOf(program, made.event);
  const persons = people(LINE);
  const told = await claimAtOnce(sale, persons);
  assert.deepEqual(tally(told), { queued: LINE }, "nobody is sold out by the length of the line");
  await until(async () => (await readStored(sale)).issued === PACE, "the last coupon is a row");
  const late = await claimAtOnce(sale, [...people(LATE), ...persons.slice(-LATE)]);
  const { nextOffset } = await queueOf(sale);
  assert.deepEqual(tally(late), { "sold-out": 2 * LATE }, "also whose record is undecided");
  if (nextOffset < LINE) row.met(marks.soldOutUndecided);
  const free = await changeEvent(program, made.event, { pace: null });
  assert.equal(free.status, 200, free.problem ?? "");
  const history = [...told, ...late];
  const rows = await endSale(sale, { row, told: history, brokers: testEngine("kafka") });
  assert.equal(rows, PACE);
});

/** A witness at each commit that moves the mark: when, how far, and the pace that counted then. */
async function startWatch({ program }: Sale): Promise<void> {
  await withDatabase(program, async (client) => {
    await client.query(
      `CREATE TABLE pace_audit (
         n bigint GENERATED ALWAYS AS IDENTITY, at timestamptz, count bigint, pace integer);
       CREATE FUNCTION audit_pace() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         INSERT INTO pace_audit (at, count, pace)
         SELECT clock_timestamp(), NEW.next_offset - OLD.next_offset, e.pace
           FROM events e WHERE e.id = NEW.event_id;
         RETURN NULL;
       END $$;
       CREATE CONSTRAINT TRIGGER audit_pace AFTER UPDATE ON queues
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
         WHEN (NEW.next_offset > OLD.next_offset) EXECUTE FUNCTION audit_pace()`,
    );
  });
}

/**
 * The most tickets in any second, by the fastest pace that counted in it: a second that saw both may
 * hold as many as the faster one allows.
 */
async function watched({ program }: Sale): Promise<{
  readonly pace: ReadonlySet<number>;
  readonly mostOf: ReadonlyMap<number, number>;
}> {
  const commits = await withDatabase(program, async (client) => {
    const { rows } = await client.query<{ atMs: number; count: number; pace: number }>(
      `SELECT (extract(epoch FROM at) * 1000)::float8 AS "atMs", count::float8 AS count, pace
         FROM pace_audit ORDER BY n`,
    );
    return rows;
  });
  const mostOf = new Map<number, number>();
  for (const first of commits) {
    const second = commits.filter(
      ({ atMs }) => atMs >= first.atMs && atMs < first.atMs + WINDOW_MS,
    );
    const allowed = Math.max(...second.map(({ pace }) => pace));
    const count = second.reduce((sum, commit) => sum + commit.count, 0);
    mostOf.set(allowed, Math.max(mostOf.get(allowed) ?? 0, count));
  }
  return { pace: new Set(commits.map(({ pace }) => pace)), mostOf };
}
