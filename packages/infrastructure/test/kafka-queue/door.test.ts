// What the door of v3 may say while others decide. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createEvent, parseEventId } from "@stampede/domain";
import type { Progress } from "@stampede/domain";
import { directoryProgressFeed } from "../../src/rows/progress-feed.ts";
import { openClient } from "../support/postgres.ts";
import { missing } from "@stampede/launcher/testing";
import { holdCommits } from "../support/held-commits.ts";
import { knownMechanisms, person } from "../support/sale.ts";
import { decided, issuesOf, openQueueSale, queueRow } from "../support/kafka-queue.ts";
import type { QueueSale } from "../support/kafka-queue.ts";

describe("the door of v3", { skip: missing("postgres", "kafka") }, () => {
  // S13, B26. Red when "sold out" is read off the log's length instead of the committed rows.
  // S12, B30. Red when `ahead` counts coupons, or persons, instead of records.
  test("counts rows and offsets: ten records of one person take one coupon", async (t) => {
    const sale = await openQueueSale(t);
    const { issuer } = sale.first;
    const eventId = await sale.createEvent({ limit: 2 });
    await Promise.all(Array.from({ length: 10 }, async () => issuer.claim(eventId, person(1))));
    sale.first.startDecider();
    await decided(sale, eventId, 10);
    const answer = await issuer.claim(eventId, person(2));
    assert.ok(answer.kind === "queued", `queued, not ${JSON.stringify(answer)}`);
    assert.deepEqual([answer.ticket.ticket, answer.ticket.ahead], [10, 0]);
    await decided(sale, eventId, 11);
    assert.equal((await issuer.status(eventId, person(2), 10)).kind, "issued");
    assert.equal((await issuer.claim(eventId, person(3))).kind, "refused");
    assert.equal((await issuesOf(sale.store, eventId)).length, 2);
  });

  // S25, B33. Red when the directory is told of a decision inside its transaction (`decideBatch`).
  test("shows nobody a frame or an end that is not committed", async (t) => {
    const sale = await openQueueSale(t);
    const { issuer, directory, postgres } = sale.first;
    const eventId = await sale.createEvent({ limit: 1 });
    const held = await holdCommits(await openClient(t, sale.url));
    await issuer.claim(eventId, person(1));
    const decider = sale.first.startDecider();
    await held.reached();
    const frames: Progress[] = [];
    const feed = directoryProgressFeed(directory, postgres);
    const stop = await feed.watch(eventId, (frame) => frames.push(frame));
    t.after(() => stop?.());
    const others = await issuer.status(eventId, person(2), null);
    await held.refuse();
    await decider.close();
    assert.deepEqual(
      frames.map(({ issued, state }) => [issued, state]),
      [[0, "open"]],
      "a frame before its commit",
    );
    assert.equal(others.kind, "none");
    assert.deepEqual(await issuesOf(sale.store, eventId), []);
    assert.equal((await queueRow(postgres, eventId)).nextOffset, 0);
    await held.release();
    sale.first.startDecider();
    await decided(sale, eventId, 1);
    assert.equal((await issuer.status(eventId, person(2), null)).kind, "sold-out");
  });

  // O6, B35. Red when the topic is found by the event's id (`prepare` in preparation.ts).
  test("gives a new event of an old id a log of its own, from ticket 0", async (t) => {
    const id = parseEventId(`again-${Date.now()}`);
    assert.ok(id !== null);
    const open = async (sale: QueueSale): Promise<number> => {
      const wanted = { id, name: "The same id", mechanism: "kafka-queue", limit: 5 } as const;
      const made = await createEvent(
        { store: sale.store, mechanisms: knownMechanisms },
        {
          ...wanted,
          opensAtMs: null,
          closesAtMs: null,
          pace: null,
          listed: true,
        },
      );
      assert.ok(made.ok);
      const answer = await sale.first.issuer.claim(id, person(1));
      assert.ok(answer.kind === "queued");
      return answer.ticket.ticket;
    };
    assert.equal(await open(await openQueueSale(t)), 0);
    // Another database, the same broker: what a new installation finds of an old one.
    assert.equal(await open(await openQueueSale(t)), 0, "the first ticket of a new event");
  });
});
