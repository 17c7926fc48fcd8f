import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";

import type { Api } from "../public/api.js";
import { openStore } from "../public/store.js";
import { Visit } from "../public/visit.js";
import type { Answer } from "../public/wire.js";
import { aFrame, anEvent, COUPON, SOLD_OUT_AT_103 } from "./examples.ts";

const OWNER = { userId: "ana", eventId: "spring" };
const LOST: Answer = { kind: "unknown", reason: "network", retryAfterMs: null };
const ISSUED: Answer = { kind: "issued", issue: COUPON };

function queued(ticket: number): Answer {
  return {
    kind: "queued",
    ticket,
    ahead: ticket,
    guaranteed: false,
    estimate: null,
    retryAfterMs: null,
  };
}

function wrongPath(claim: string): Answer {
  return { kind: "refused", reason: "wrong-mechanism", retryAfterMs: null, opensAt: null, claim };
}

/** A visit whose server gives these answers, one after the other, then none at all. */
function aVisit(t: TestContext, { claims = [], statuses = [] }: Script = {}) {
  const asked: (number | null)[] = [];
  const sent: string[] = [];
  const api: Api = {
    claim: async ({ path }) => {
      sent.push(path);
      return claims.shift() ?? LOST;
    },
    status: async ({ ticket }) => {
      asked.push(ticket);
      return statuses.shift() ?? LOST;
    },
    events: async () => ({ events: [], next: null }),
    mechanisms: async () => [],
    event: async () => null,
  };
  const store = openStore(null);
  t.after(() => assert.ok(asked.length < 20, "the page must not flood the server"));
  const surroundings = { api, store, isStreamUp: () => true, isHidden: () => false, changed() {} };
  const open = () => new Visit(anEvent(), OWNER.userId, surroundings);
  return { visit: open(), reopen: open, store, asked, sent };
}

type Script = { claims?: Answer[]; statuses?: Answer[] };

/** Makes whatever is due happen, and waits for its answer. */
async function due(visit: Visit): Promise<void> {
  visit.tick(Number.POSITIVE_INFINITY);
  await new Promise((resolve) => setImmediate(resolve));
}

test("a double click sends one claim", async (t) => {
  const { visit, sent } = aVisit(t, { claims: [ISSUED] });
  await Promise.all([visit.claim(), visit.claim()]);
  assert.equal(sent.length, 1);
  assert.deepEqual(visit.place.issue, COUPON);
});

test("an attempt is remembered before it is sent and forgotten with a certain answer", async (t) => {
  const { visit, store } = aVisit(t, { claims: [queued(3)] });
  const claiming = visit.claim();
  assert.equal(store.unanswered(OWNER), true);
  await claiming;
  assert.equal(store.unanswered(OWNER), false);
});

test("a lost answer is asked about, and the truth is shown", async (t) => {
  const { visit, asked } = aVisit(t, { claims: [LOST], statuses: [ISSUED] });
  await visit.claim();
  assert.equal(visit.unanswered, true);
  await due(visit);
  assert.deepEqual([asked, visit.place.issue, visit.unanswered], [[null], COUPON, false]);
});

// Red when keys of the store are told apart by their beginning alone.
test("whose name begins as another's does has no part in their attempts", () => {
  const store = openStore(null);
  const other = { userId: "ana:spring", eventId: "summer" };
  store.attempt(other);
  assert.deepEqual([store.unanswered(OWNER), store.unanswered(other)], [false, true]);
  store.settle(OWNER);
  assert.equal(store.unanswered(other), true);
});

test("an earlier unanswered attempt is not covered by the ticket of a later one", async (t) => {
  const { visit, asked } = aVisit(t, { claims: [LOST, queued(200)], statuses: [ISSUED] });
  await visit.claim();
  await visit.claim();
  assert.equal(visit.unanswered, true);
  visit.onFrame(aFrame(SOLD_OUT_AT_103));
  assert.equal(visit.place.soldOut, false);
  await due(visit);
  assert.deepEqual([asked, visit.place.issue], [[200], COUPON]);
});

test("with every attempt answered, a frame's sold out needs no question", async (t) => {
  const { visit, asked } = aVisit(t, { claims: [queued(200)] });
  await visit.claim();
  visit.onFrame(aFrame(SOLD_OUT_AT_103));
  await due(visit);
  assert.deepEqual([visit.place.soldOut, asked], [true, []]);
});

test("a decided ticket is asked about with the ticket", async (t) => {
  const { visit, asked } = aVisit(t, { claims: [queued(5)], statuses: [ISSUED] });
  await visit.claim();
  visit.onFrame(aFrame({ decided: 3 }));
  assert.equal(visit.ahead, 2);
  visit.onFrame(aFrame({ issued: 6, remaining: 94, decided: 6 }));
  await due(visit);
  assert.deepEqual([asked, visit.place.issue], [[5], COUPON]);
});

test("a line that stands still is told by a frame and by an answer, until it goes on", async (t) => {
  const still: Answer = { kind: "unknown", reason: "stalled", retryAfterMs: null };
  const { visit } = aVisit(t, { claims: [queued(5)], statuses: [still, queued(5)] });
  await visit.claim();
  visit.onFrame(aFrame({ decided: 3, stalled: true }));
  assert.equal(visit.stalled, true);
  visit.onFrame(aFrame({ decided: 3 }));
  assert.equal(visit.stalled, false);
  await due(visit);
  assert.deepEqual([visit.stalled, visit.disconnected], [true, false]);
  await due(visit);
  assert.equal(visit.stalled, false);
});

test("the end of a sale that was voided is final, also for the page that is opened again", async (t) => {
  const { visit, reopen } = aVisit(t, { claims: [queued(5)], statuses: [{ kind: "voided" }] });
  await visit.claim();
  visit.onFrame(aFrame({ state: "closed", decided: 3, voided: true }));
  assert.deepEqual([visit.place.voided, visit.isPending], [true, false]);
  const again = reopen();
  assert.equal(again.place.voided, true);
  await due(again);
  assert.equal(again.place.voided, true);
});

test("a page opened again finds the ticket, and asks at once", async (t) => {
  const { visit, reopen, asked } = aVisit(t, { claims: [queued(50)], statuses: [queued(50)] });
  await visit.claim();
  const again = reopen();
  assert.equal(again.place.ticket, 50);
  await due(again);
  assert.deepEqual([asked, again.ahead], [[50], 50]);
});

test("a place that another tab found is taken over", async (t) => {
  const { visit, reopen } = aVisit(t, { claims: [queued(50)] });
  const other = reopen();
  await visit.claim();
  other.reload();
  assert.equal(other.place.ticket, 50);
});

test("a ticket that the server does not know lets the person claim again", async (t) => {
  const { visit } = aVisit(t, { claims: [queued(5), queued(9)], statuses: [{ kind: "none" }] });
  await visit.claim();
  visit.onFrame(aFrame({ decided: 6 }));
  await due(visit);
  assert.deepEqual([visit.place.ticket, visit.said?.kind], [null, "none"]);
  await visit.claim();
  assert.equal(visit.place.ticket, 9);
});

test("the wrong path is corrected by the server's own word, and nothing else is followed", async (t) => {
  const { visit, sent } = aVisit(t, {
    claims: [
      wrongPath("//elsewhere.example/v1/events/a/issues"),
      wrongPath("/v12/events/spring/issues"),
    ],
  });
  await visit.claim();
  await visit.claim();
  await visit.claim();
  assert.deepEqual(sent, [
    "/v3/events/spring/issues",
    "/v3/events/spring/issues",
    "/v12/events/spring/issues",
  ]);
});

test("after a lost claim the questions end when the server keeps knowing nothing", async (t) => {
  const statuses = Array.from({ length: 30 }, (): Answer => ({ kind: "none" }));
  const { visit, asked } = aVisit(t, { claims: [LOST], statuses });
  await visit.claim();
  for (let turn = 0; turn < 30; turn += 1) await due(visit);
  assert.equal(asked.length, 6);
  visit.onEvent(anEvent({ issued: 100, remaining: 0, state: "sold-out" }));
  await due(visit);
  assert.equal(asked.length, 7, "sold out makes the answer final: worth one more question");
});
