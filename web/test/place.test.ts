import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  afterAnswer,
  afterFrame,
  aheadNow,
  isPlace,
  newerEvent,
  NO_PLACE,
  upgradedPlace,
  withFrame,
} from "../public/place.js";
import type { Place } from "../public/place.js";
import type { Answer } from "../public/wire.js";
import { aFrame, anEvent, COUPON, SOLD_OUT_AT_103 } from "./examples.ts";

const ANSWERED = { unanswered: false };
const UNANSWERED = { unanswered: true };

function queued(ticket: number, ahead = ticket): Answer {
  return {
    kind: "queued",
    ticket,
    ahead,
    guaranteed: ticket < 100,
    estimate: null,
    retryAfterMs: null,
  };
}

function at(ticket: number): Place {
  return afterAnswer(NO_PLACE, queued(ticket));
}

describe("a place after an answer", () => {
  test("keeps the lowest ticket ever given, whatever order the answers come in", () => {
    assert.equal(afterAnswer(at(40), queued(50)).ticket, 40);
    assert.equal(afterAnswer(at(50), queued(40)).ticket, 40);
    assert.equal(afterAnswer(at(0), queued(1)).ticket, 0);
  });

  test("remembers how many were ahead at first, for the progress bar", () => {
    assert.equal(afterAnswer(at(40), queued(40, 5)).aheadAtFirst, 40);
  });

  test("never loses a coupon to a later answer of another kind", () => {
    const issued = afterAnswer(at(3), { kind: "issued", issue: COUPON });
    assert.deepEqual(afterAnswer(issued, { kind: "sold-out" }).issue, COUPON);
    assert.deepEqual(afterAnswer(issued, queued(9)).issue, COUPON);
    assert.deepEqual(afterAnswer(issued, { kind: "voided" }).issue, COUPON);
    assert.equal(afterAnswer(at(3), { kind: "voided" }).voided, true);
  });

  test("is not changed by a refusal or by an unknown outcome", () => {
    const place = at(40);
    const lost: Answer = { kind: "unknown", reason: "network", retryAfterMs: null };
    assert.equal(afterAnswer(place, lost), place);
    const refused: Answer = {
      kind: "refused",
      reason: "paused",
      retryAfterMs: null,
      opensAt: null,
      claim: null,
    };
    assert.equal(afterAnswer(place, refused), place);
  });

  test("starts again where the server knows nothing of the ticket", () => {
    assert.equal(afterAnswer(at(40), { kind: "none" }), NO_PLACE);
  });
});

describe("a place after a frame", () => {
  test("waits while its ticket is undecided", () => {
    const place = at(40);
    assert.deepEqual(afterFrame(place, aFrame({ decided: 40 }), ANSWERED), { place, ask: false });
  });

  test("asks once its ticket is decided", () => {
    assert.equal(afterFrame(at(40), aFrame({ decided: 41 }), ANSWERED).ask, true);
  });

  test("is sold out above the last winning ticket, without asking", () => {
    const { place, ask } = afterFrame(at(104), aFrame(SOLD_OUT_AT_103), ANSWERED);
    assert.deepEqual([place.soldOut, ask], [true, false]);
  });

  test("asks at the last winning ticket itself and below it", () => {
    for (const ticket of [103, 0]) {
      const { place, ask } = afterFrame(at(ticket), aFrame(SOLD_OUT_AT_103), ANSWERED);
      assert.deepEqual([place.soldOut, ask], [false, true]);
    }
  });

  test("asks instead of concluding where an attempt stayed unanswered: it may have won", () => {
    const { place, ask } = afterFrame(at(104), aFrame(SOLD_OUT_AT_103), UNANSWERED);
    assert.deepEqual([place.soldOut, ask], [false, true]);
  });

  test("asks about an unanswered attempt without a ticket when the event is sold out", () => {
    const frame = aFrame({ ...SOLD_OUT_AT_103, decided: null, lastWinningTicket: null });
    assert.equal(afterFrame(NO_PLACE, frame, UNANSWERED).ask, true);
    assert.equal(afterFrame(NO_PLACE, frame, ANSWERED).ask, false);
  });

  test("is over without asking where the shop ended the sale before its turn", () => {
    const frame = aFrame({ state: "closed", decided: 40, voided: true });
    assert.deepEqual(afterFrame(at(40), frame, ANSWERED), {
      place: { ...NO_PLACE, voided: true },
      ask: false,
    });
    assert.equal(afterFrame(at(39), frame, ANSWERED).ask, true, "it was decided: it may have won");
    assert.equal(afterFrame(at(40), frame, UNANSWERED).ask, true);
    assert.equal(afterFrame(NO_PLACE, frame, UNANSWERED).ask, true);
  });

  test("asks nothing once it is final", () => {
    const issued = afterAnswer(NO_PLACE, { kind: "issued", issue: COUPON });
    assert.equal(afterFrame(issued, aFrame(SOLD_OUT_AT_103), UNANSWERED).ask, false);
  });
});

test("the number ahead never grows and never goes below zero", () => {
  assert.equal(aheadNow({ ticket: 40, decided: 10, shown: null }), 30);
  assert.equal(aheadNow({ ticket: 40, decided: 5, shown: 30 }), 30);
  assert.equal(aheadNow({ ticket: 40, decided: 50, shown: 30 }), 0);
});

test("a late answer to an early poll does not take coupons back or undo an operator's change", () => {
  const known = anEvent({ issued: 10, remaining: 90, version: 2 });
  assert.equal(newerEvent(known, anEvent({ issued: 9, remaining: 91, version: 2 })), known);
  assert.equal(newerEvent(known, anEvent({ issued: 11, version: 1 })), known);
  const paused = anEvent({ issued: 10, remaining: 90, version: 2, paused: true });
  assert.equal(newerEvent(known, paused), paused);
});

test("a frame brings the counts and a raised limit, and sold out stays sold out", () => {
  const event = withFrame(anEvent(), aFrame({ issued: 30, remaining: 170 }));
  assert.deepEqual([event.issued, event.remaining, event.limit], [30, 170, 200]);
  const over = withFrame(anEvent(), aFrame(SOLD_OUT_AT_103));
  assert.equal(withFrame(over, aFrame({ issued: 100, remaining: 0 })).state, "sold-out");
});

test("only a whole place is read back from the browser's storage", () => {
  assert.ok(isPlace(at(4)));
  const { voided: _, ...older } = at(4);
  assert.deepEqual(upgradedPlace(older), at(4), "one that an older page has kept");
  assert.ok(isPlace(afterAnswer(NO_PLACE, { kind: "issued", issue: COUPON })));
  for (const bad of [null, 1, "x", [], {}, { ...at(4), ticket: "4" }, { ...at(4), issue: {} }]) {
    assert.equal(isPlace(bad), false, JSON.stringify(bad));
  }
});
