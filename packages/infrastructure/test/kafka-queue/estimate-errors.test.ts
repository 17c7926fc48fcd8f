// How good the waits are that people were told, without an engine. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { EventId, Ticket } from "@stampede/domain";
import { parseEventId } from "@stampede/domain";
import { estimateErrors } from "../../src/kafka-queue/door/estimate-errors.ts";
import type { EstimateErrors } from "../../src/kafka-queue/door/estimate-errors.ts";
import type { EventDirectory, KnownEvent } from "../../src/rows/event-directory.ts";
import { hearFacts } from "../support/facts.ts";
import type { HeardFacts } from "../support/facts.ts";
import { until } from "@stampede/launcher/testing";
import { systemTime } from "../../src/engines/time.ts";

const spring = parseEventId("spring") as EventId;

type Opened = {
  readonly errors: EstimateErrors;
  readonly facts: HeardFacts;
  readonly queue: { nextOffset: number; halted: string | null };
  /** How often the directory was asked. */
  readonly looks: () => number;
};

function open(t: TestContext): Opened {
  const facts = hearFacts(t);
  const queue = { nextOffset: 0, halted: null as string | null };
  let looks = 0;
  const directory: Pick<EventDirectory, "peek"> = {
    peek() {
      looks += 1;
      return { queue } as unknown as KnownEvent;
    },
  };
  const errors = estimateErrors(directory, systemTime);
  t.after(() => errors.close());
  return { errors, facts, queue, looks: () => looks };
}

function ticketOf(ticket: number, mark: number, seconds: number | null): Ticket {
  const estimate = seconds === null ? null : { seconds, low: seconds, high: seconds };
  return { eventId: spring, ticket, ahead: ticket - mark, guaranteed: false, estimate };
}

describe("the error of an estimate", () => {
  // Red when it is signed, or in seconds, or not the wait's but the mark's.
  test("is how far the true wait was from the one told, either way", async (t) => {
    const { errors, facts, queue } = open(t);
    errors.told(ticketOf(0, 0, 3));
    errors.told(ticketOf(1, 0, 0));
    const toldAtMs = performance.now();
    await until(() => performance.now() - toldAtMs > 400, "some time passes");
    assert.deepEqual(facts.estimateErrors, []);
    queue.nextOffset = 2;
    await until(() => facts.estimateErrors.length === 2, "both are measured");
    const waitedMs = performance.now() - toldAtMs;
    const [early, late] = facts.estimateErrors.map(({ errorMs }) => errorMs);
    assert.ok(early! > 2_900 - waitedMs && early! <= 2_600, `${early} ms`);
    assert.ok(late! >= 400 && late! < waitedMs + 100, `${late} ms`);
  });

  test("is measured only of people who were told one, and only once the mark passed them", async (t) => {
    const { errors, facts, queue } = open(t);
    errors.told(ticketOf(0, 0, null));
    errors.told(ticketOf(1, 0, 1));
    errors.told(ticketOf(2, 0, 1));
    queue.nextOffset = 2;
    await until(() => facts.estimateErrors.length > 0, "the first is measured");
    assert.equal(facts.estimateErrors.length, 1);
  });

  // Red without the step, which grows with the line: 10,000 samples, or the first 400 of them.
  test("is measured of a sample of a crowd, from its front to its end", async (t) => {
    const { errors, facts, queue } = open(t);
    for (let ticket = 0; ticket < 10_000; ticket += 1) errors.told(ticketOf(ticket, 0, 0));
    queue.nextOffset = 5_000;
    await until(() => facts.estimateErrors.length > 0, "half of them are measured");
    const firstHalf = facts.estimateErrors.length;
    queue.nextOffset = 10_000;
    await until(() => facts.estimateErrors.length > firstHalf, "the others are measured too");
    const all = facts.estimateErrors.length;
    assert.ok(firstHalf > 200 && all - firstHalf > 30 && all <= 400, `${firstHalf} of ${all}`);
  });

  // Red when an open sample keeps the timer, and with it the event, alive for ever.
  test("is given up for a halted event, and nothing is looked at any more", async (t) => {
    const { errors, facts, queue, looks } = open(t);
    errors.told(ticketOf(0, 0, 1));
    queue.halted = "the log lost records";
    await until(() => looks() > 0, "it was looked at");
    const atMs = performance.now();
    await until(() => performance.now() - atMs > 300, "several looks' time has passed");
    assert.equal(looks(), 1);
    assert.deepEqual(facts.estimateErrors, []);
  });
});
