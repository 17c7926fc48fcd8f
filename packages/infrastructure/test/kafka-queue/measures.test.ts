import assert from "node:assert/strict";
import { test } from "node:test";
import type { CouponEvent, EventId } from "@stampede/domain";
import { undecidedRecords } from "../../src/kafka-queue/decider/undecided-records.ts";
import {
  deciderMeasures,
  queueLengthMeasure,
  undecidedAgeMeasures,
} from "../../src/kafka-queue/measures.ts";

test("a queue shows its undecided tickets, 0 while nobody waits, nothing where nobody knows", () => {
  const events = [eventOf("quiet", "kafka-queue"), eventOf("no-queue", "row-lock")];
  let waiting: ReadonlyMap<string, number> | null = null;
  const directory = { known: () => events };
  const measure = queueLengthMeasure("kafka-queue", directory, () => waiting);
  assert.deepEqual(measure.read(), []);
  waiting = new Map([["busy", 4_711]]);
  assert.deepEqual(measure.read(), [
    { labels: { event: "quiet" }, value: 0 },
    { labels: { event: "busy" }, value: 4_711 },
  ]);
});

test("the decider shows that it leads, how far it is behind, and since when", () => {
  const facts = { leading: true, active: 3, lag: 12, oldestUndecidedMs: 1_500 };
  const measures = deciderMeasures(() => ({ ...facts, decided: 4_711, halted: 1 }));
  assert.deepEqual(Object.fromEntries(measures.map(({ name, read }) => [name, read()[0]?.value])), {
    stampede_decider_leading: 1,
    stampede_decider_lag_tickets: 12,
    stampede_decider_oldest_undecided_seconds: 1.5,
    stampede_queues_halted: 1,
    stampede_decided_total: 4_711,
  });
});

// Red when what is told is of all queues together, or of as many as there are.
test("the ten oldest lines are told by event, and one that stands still hides behind no busy one", () => {
  let nowMs = 0;
  const records = undecidedRecords(() => nowMs);
  const id = (name: string): EventId => name as EventId;
  for (let n = 0; n < 1_000; n += 1) records.look(id(`busy-${n}`), { end: 10, mark: 0 }, nowMs);
  records.look(id("stuck"), { end: 1, mark: 0 }, nowMs);
  records.look(id("resting"), { end: 1, mark: 0 }, nowMs);
  nowMs = 20_000;
  for (let n = 0; n < 1_000; n += 1) records.decided(id(`busy-${n}`), 5);
  nowMs = 21_000;
  const [oldest, still] = undecidedAgeMeasures(
    () => records.ages(nowMs),
    (eventId) => eventId === "resting",
  ).map(({ read }) => read());
  assert.equal(oldest?.length, 10);
  assert.deepEqual(new Set(oldest?.map(({ value }) => value)), new Set([21]));
  assert.equal(still?.length, 10);
  assert.deepEqual(still?.[0], { labels: { event: "stuck" }, value: 21 });
  assert.equal(still?.[1]?.value, 1);
  records.decided(id("stuck"), 1);
  assert.equal(records.ages(nowMs).has(id("stuck")), false);
});

function eventOf(id: string, mechanism: string): { readonly event: CouponEvent } {
  return { event: { id, mechanism } as CouponEvent };
}
