import assert from "node:assert/strict";
import { test } from "node:test";

import { classify, isEvent } from "../public/wire.js";
import type { Reply } from "../public/wire.js";
import { anEvent, COUPON } from "./examples.ts";

function problem(status: number, type: string, members: Record<string, unknown> = {}): Reply {
  return { status, retryAfterMs: 2000, body: { type: `/problems/${type}`, status, ...members } };
}

test("a coupon issue is read from a 201 and from a 200", () => {
  for (const status of [200, 201]) {
    const body = { eventId: "spring", status: "issued", ...COUPON };
    assert.deepEqual(classify({ status, retryAfterMs: null, body }), {
      kind: "issued",
      issue: COUPON,
    });
  }
});

test("every refusal keeps its reason: certainly nothing was applied", () => {
  const refusals: [number, string][] = [
    [409, "not-open"],
    [409, "closed"],
    [409, "paused"],
    [409, "wrong-mechanism"],
    [401, "unauthenticated"],
    [403, "forbidden"],
    [404, "no-such-event"],
    [400, "invalid-request"],
    [429, "too-many-requests"],
    [503, "unavailable"],
  ];
  for (const [status, type] of refusals) {
    const answer = classify(problem(status, type));
    assert.equal(answer.kind, "refused", type);
    assert.equal(answer.kind === "refused" && answer.reason, type);
  }
});

test("sold out is an answer of its own, final", () => {
  assert.deepEqual(classify(problem(409, "sold-out")), { kind: "sold-out" });
});

test("whatever does not promise the opposite is unknown, never failed", () => {
  const bare: Reply = { status: 503, retryAfterMs: null, body: null };
  const halfRead: Reply = { status: 201, retryAfterMs: null, body: { status: "issued" } };
  const unknowns = [null, bare, halfRead, problem(500, "internal"), problem(502, "bad-gateway")];
  const said = [problem(503, "outcome-unknown"), problem(503, "too-many-requests")];
  for (const reply of [...unknowns, ...said]) {
    assert.equal(classify(reply).kind, "unknown", JSON.stringify(reply));
  }
});

test("the members that help are kept: the wait, the opening, the right path", () => {
  const opensAt = "2026-12-01T00:00:00.000Z";
  const answer = classify(problem(409, "not-open", { opensAt }));
  assert.ok(answer.kind === "refused");
  assert.deepEqual([answer.opensAt, answer.retryAfterMs], [opensAt, 2000]);
  const moved = classify(problem(409, "wrong-mechanism", { claim: "/v1/events/a/issues" }));
  assert.ok(moved.kind === "refused");
  assert.equal(moved.claim, "/v1/events/a/issues");
});

test("an event is read whatever its mechanism is called", () => {
  assert.ok(isEvent(anEvent({ mechanism: "my-idea", claim: "/v9/events/spring/issues" })));
  assert.equal(isEvent({ ...anEvent(), mechanism: 9 }), false);
});
