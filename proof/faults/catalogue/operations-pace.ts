// O1, S27: the pace is changed while a line of people is decided: no second decides more than the
// pace that counts, by the commits that moved the mark. And S5, S13: the last coupon goes while a paced
// line behind it is undecided.
//
// Red when the pace of an earlier reading is used instead of the locked row's (`event.pace` in
// kafka-queue/decider/decide-batch.ts); the second test when the door tells sold out by the log's length, or only
// once everything is decided (`judged.issued === judged.limit` in kafka-queue/issuer.ts).
import assert from "node:assert/strict";
import { until } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { marks } from "../marks.ts";
import { KAFKA_MECHANISMS, only } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { Places } from "../places.ts";
import { changeEvent, makeEvent, saleOf } from "../support/operations.ts";
import type { EventSeen } from "../support/operations.ts";
import { queueOf } from "../support/queue.ts";
import { claimAtOnce, people, readStored, tally, withDatabase } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const PEOPLE = 120;
const PACE = 60;
const SLOWER_PACE = 30;
const WINDOW_MS = 1_000;
/** So many that deciding all of them takes six seconds. */
const LINE = 400;
const LATE = 20;

type Shared = Stage<Places["shared"]>;

const paced = {
  id: "O1",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  runs: "proof",
  place: "shared",
  beside: "spared",
} as const;

export const paceCases: readonly FaultCase[] = [
  {
    ...paced,
    injects: `the pace goes from ${PACE} to ${SLOWER_PACE} to none while people are in line`,
    holds: "no second decides more than the pace that counts",
    // Its witness is a trigger.
    fresh: true,
    run: changePaces,
  },
  {
    ...paced,
    injects: `a pace of ${PACE} holds the line: people ask before and after the last coupon is a row`,
    holds: "all are told sold out once it is a row, and nobody before",
    expects: [marks.soldOutUndecided],
    run: sellLastInLine,
  },
];

async function changePaces(stage: Shared): Promise<void> {
  const { event, sale } = await makePaced(stage, PEOPLE);
  const { program } = sale;
  await startWatch(sale);
  const told = await claimAtOnce(sale, people(PEOPLE));
  assert.deepEqual(tally(told), { queued: PEOPLE });
  const decided = async (count: number): Promise<void> =>
    until(async () => (await queueOf(sale)).nextOffset >= count, `${count} are decided`);
  await decided(PACE / 2);
  const slower = await changeEvent(program, event, { pace: SLOWER_PACE });
  assert.ok(slower.event !== null, slower.problem ?? "");
  stage.injected();
  // A second and a half of the slower pace, after a second that may still count the faster one.
  await decided(PACE + SLOWER_PACE + SLOWER_PACE / 2);
  const { pace, mostOf } = await watched(sale);
  happened(pace.has(PACE) && pace.has(SLOWER_PACE), "one of the paces decided nobody");
  for (const [allowed, most] of mostOf) {
    assert.ok(most <= allowed, `S27: ${most} tickets in one second at a pace of ${allowed}`);
  }
  const free = await changeEvent(program, slower.event, { pace: null });
  assert.equal(free.status, 200, free.problem ?? "");
  stage.injected();
  await finish(stage, sale, told);
}

async function sellLastInLine(stage: Shared): Promise<void> {
  const { event, sale } = await makePaced(stage, PACE);
  stage.injected();
  const persons = people(LINE);
  const told = await claimAtOnce(sale, persons);
  assert.deepEqual(tally(told), { queued: LINE }, "nobody is sold out by the length of the line");
  await until(async () => (await readStored(sale)).issued === PACE, "the last coupon is a row");
  const late = await claimAtOnce(sale, [...people(LATE), ...persons.slice(-LATE)]);
  const { nextOffset } = await queueOf(sale);
  assert.deepEqual(tally(late), { "sold-out": 2 * LATE }, "also whose record is undecided");
  if (nextOffset < LINE) stage.met(marks.soldOutUndecided);
  const free = await changeEvent(sale.program, event, { pace: null });
  assert.equal(free.status, 200, free.problem ?? "");
  await finish(stage, sale, [...told, ...late]);
}

async function makePaced(
  stage: Shared,
  limit: number,
): Promise<{ readonly event: EventSeen; readonly sale: Sale }> {
  const { program } = stage.at;
  const id = `paced-${people(1)[0]}`;
  const { event, problem } = await makeEvent(program, {
    id,
    mechanism: only(stage),
    limit,
    pace: PACE,
  });
  assert.ok(event !== null, problem ?? "");
  return { event, sale: saleOf(program, event) };
}

/** A witness at each commit that moves the mark: when, how far, and the pace that counted then. */
async function startWatch({ program }: Sale): Promise<void> {
  await withDatabase(program, async (client) => {
    await client.query(
      `CREATE TABLE pace_audit (
         n bigint GENERATED ALWAYS AS IDENTITY, event_id text, at timestamptz, count bigint, pace integer);
       CREATE FUNCTION audit_pace() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         INSERT INTO pace_audit (event_id, at, count, pace)
         SELECT e.id, clock_timestamp(), NEW.next_offset - OLD.next_offset, e.pace
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
async function watched({ program, eventId }: Sale): Promise<{
  readonly pace: ReadonlySet<number>;
  readonly mostOf: ReadonlyMap<number, number>;
}> {
  const commits = await withDatabase(program, async (client) => {
    const { rows } = await client.query<{ atMs: number; count: number; pace: number }>(
      `SELECT (extract(epoch FROM at) * 1000)::float8 AS "atMs", count::float8 AS count, pace
         FROM pace_audit WHERE event_id = $1 ORDER BY n`,
      [eventId],
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
