import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { chooseLanguage, countdownParts, speak } from "../public/language.js";
import { ENGLISH, isMessageKey, KOREAN } from "../public/messages.js";
import { NO_PLACE } from "../public/place.js";
import { announcementOf, viewOf } from "../public/view.js";
import type { VisitFacts } from "../public/view.js";
import { REASONS } from "../public/wire.js";
import type { Refused } from "../public/wire.js";
import { anEvent, COUPON } from "./examples.ts";

const NOW = { serverMs: Date.parse("2026-12-01T00:00:00.000Z"), localMs: 1_000_000 };

function aVisit(changes: Partial<VisitFacts> = {}): VisitFacts {
  return {
    event: anEvent(),
    place: NO_PLACE,
    unanswered: false,
    claiming: false,
    looking: false,
    disconnected: false,
    stalled: false,
    signedOut: false,
    ahead: null,
    estimateSeconds: null,
    said: null,
    notBeforeMs: 0,
    ...changes,
  };
}

function holes(text: string): string[] {
  return [...text.matchAll(/\{\w+\}/g)].map(String).sort();
}

function refused(reason: Refused["reason"]): Refused {
  return { kind: "refused", reason, retryAfterMs: null, opensAt: null, claim: null };
}

describe("what a card shows", () => {
  test("an open event has one button, and it claims", () => {
    const { phase, button, sentence } = viewOf(aVisit(), NOW);
    assert.deepEqual([phase, button?.action, button?.enabled], ["idle", "claim", true]);
    assert.equal(sentence.key, "event.open");
  });

  test("a scheduled event counts down to the instant, then the button works at once", () => {
    const event = anEvent({ state: "scheduled" });
    const early = viewOf(aVisit({ event }), { ...NOW, serverMs: NOW.serverMs - 1 });
    assert.deepEqual([early.opensInMs, early.button?.enabled], [1, false]);
    const onTime = viewOf(aVisit({ event }), NOW);
    assert.deepEqual([onTime.opensInMs, onTime.button?.enabled], [null, true]);
  });

  test("an event that takes no claims offers to look for the coupon instead", () => {
    for (const changes of [{ state: "sold-out" }, { state: "closed" }, { paused: true }] as const) {
      const { button } = viewOf(aVisit({ event: anEvent(changes) }), NOW);
      assert.equal(button?.action, "look");
    }
  });

  test("an event of a mechanism that this server lacks offers to look for the coupon", () => {
    const event = anEvent({ mechanism: "my-idea", claim: "", available: false });
    const { button, sentence } = viewOf(aVisit({ event }), NOW);
    assert.deepEqual([button?.action, sentence.key], ["look", "event.unavailable"]);
  });

  test("every refusal and every doubt has its sentence, and the button stays", () => {
    for (const reason of [...REASONS, "refused"] as const) {
      const view = viewOf(aVisit({ said: refused(reason) }), NOW);
      assert.equal(view.sentence.key, `refused.${reason}`);
      assert.ok(isMessageKey(view.sentence.key));
      assert.notEqual(view.button, null);
    }
    for (const reason of ["network", "outcome-unknown", "server-error"] as const) {
      const said = { kind: "unknown", reason, retryAfterMs: null } as const;
      const view = viewOf(aVisit({ said, unanswered: true }), NOW);
      assert.deepEqual([view.phase, view.sentence.key], ["unknown", `unknown.${reason}`]);
      assert.equal(view.button?.label.key, "button.again");
    }
  });

  test("the button waits as long as the server asked, and says so", () => {
    const { button } = viewOf(aVisit({ notBeforeMs: NOW.localMs + 1500 }), NOW);
    assert.deepEqual(button?.label, { key: "button.wait", values: { seconds: 2 } });
    assert.equal(button?.enabled, false);
  });

  test("a ticket below the limit is guaranteed; the one at the limit is not", () => {
    const views = [99, 100].map((ticket) =>
      viewOf(aVisit({ place: { ...NO_PLACE, ticket }, ahead: 3 }), NOW),
    );
    assert.deepEqual(
      views.map(({ waiting }) => waiting?.guaranteed),
      [true, false],
    );
  });

  test("a line that stands still is told as such, and how it ended", () => {
    const place = { ...NO_PLACE, ticket: 40 };
    const still = viewOf(aVisit({ place, ahead: 3, stalled: true }), NOW);
    assert.deepEqual([still.phase, still.sentence.key], ["waiting", "unknown.stalled"]);
    const event = anEvent({ state: "closed", voided: true, available: false });
    const over = viewOf(aVisit({ event, place: { ...NO_PLACE, voided: true } }), NOW);
    assert.deepEqual([over.phase, over.sentence.key], ["voided", "place.voided"]);
    assert.deepEqual([over.button, over.waiting], [null, null]);
    assert.equal(viewOf(aVisit({ event }), NOW).sentence.key, "event.voided");
  });

  test("a coupon outlives everything that is said about the event", () => {
    const place = { ...NO_PLACE, issue: COUPON };
    const event = anEvent({ state: "closed", paused: true, available: false });
    const view = viewOf(aVisit({ event, place, said: refused("closed"), unanswered: true }), NOW);
    assert.deepEqual([view.phase, view.button], ["issued", null]);
  });
});

test("a screen reader is told of a shrinking line each time the number has halved", () => {
  const names = [40, 39, 33, 32, 31, 16, 15].map(
    (ahead) =>
      announcementOf(viewOf(aVisit({ place: { ...NO_PLACE, ticket: 40 }, ahead }), NOW))?.name,
  );
  assert.equal(new Set(names).size, 3);
  assert.equal(announcementOf(viewOf(aVisit(), NOW)), null);
});

describe("two languages", () => {
  test("every Korean sentence has the same holes as the English one", () => {
    for (const key of Object.keys(ENGLISH)) {
      assert.ok(isMessageKey(key));
      assert.deepEqual(holes(KOREAN[key]), holes(ENGLISH[key]), key);
      assert.notEqual(KOREAN[key].trim(), "", key);
    }
  });

  test("the person's choice counts first, then the browser's list, then English", () => {
    assert.equal(chooseLanguage("en", ["ko-KR"]), "en");
    assert.equal(chooseLanguage(null, ["fr", "ko-KR", "en"]), "ko");
    assert.equal(chooseLanguage("xx", ["fr"]), "en");
  });

  test("numbers and rough times are told in the person's language", () => {
    assert.equal(speak("en").say("left", { limit: 1000 }), "of 1,000 left");
    assert.equal(speak("en").estimate(41), "About 45 seconds left");
    assert.equal(speak("en").estimate(3), "A few seconds left");
    assert.equal(speak("en").estimate(200), "About 4 minutes left");
    assert.equal(speak("ko").estimate(41), "약 45초 남았습니다");
  });
});

test("a countdown shows its last second until the very end", () => {
  assert.deepEqual(countdownParts(1), { days: 0, clock: "00:01" });
  assert.deepEqual(countdownParts(0), { days: 0, clock: "00:00" });
  assert.deepEqual(countdownParts(3_599_001), { days: 0, clock: "01:00:00" });
  assert.deepEqual(countdownParts(90_061_000), { days: 1, clock: "01:01:01" });
});
