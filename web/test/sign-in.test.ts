import assert from "node:assert/strict";
import { test } from "node:test";

import { openSignIn, userIdOf } from "../public/sign-in.js";
import { NO_PLACE } from "../public/place.js";
import { openStore } from "../public/store.js";
import { viewOf } from "../public/view.js";
import { Visit } from "../public/visit.js";
import type { Answer } from "../public/wire.js";
import { anEvent, COUPON } from "./examples.ts";

const NOW = { serverMs: Date.parse("2026-12-01T00:00:00.000Z"), localMs: 1_000_000 };
const SIGNED_OUT: Answer = {
  kind: "refused",
  reason: "unauthenticated",
  retryAfterMs: null,
  opensAt: null,
  claim: null,
};

function tokenWith(body: unknown): string {
  return `e30.${Buffer.from(JSON.stringify(body)).toString("base64url")}.c2ln`;
}

test("the name to show is the token's sub, and only one that the service would take", () => {
  assert.equal(userIdOf(tokenWith({ sub: "ana~?>ü".slice(0, 4), name: "ü??>>" })), "ana~");
  for (const sub of [undefined, "", "a b", ["ana"], 7, "x".repeat(256), "ana ", "jos\u00e9"]) {
    assert.equal(userIdOf(tokenWith({ sub })), null, JSON.stringify(sub));
  }
  for (const text of ["", "ana", "a.b", "a.b.c", "a.b.c.d", tokenWith(null), tokenWith("ana")]) {
    assert.equal(userIdOf(text), null, text);
  }
  assert.equal(userIdOf(tokenWith({ sub: "ana", padding: "x".repeat(9_000) })), null);
});

test("the name to show is the subject of any provider", () => {
  for (const sub of ["auth0|abc", "urn:person:7", "ana+shop@example.com", "x".repeat(255)]) {
    assert.equal(userIdOf(tokenWith({ sub })), sub);
  }
});

test("a token goes out under its own name only", () => {
  const signIn = openSignIn(null);
  assert.deepEqual([signIn.userId(), signIn.credentials("")], ["", {}]);
  const anas = tokenWith({ sub: "ana" });
  signIn.save(anas);
  assert.equal(signIn.userId(), "ana");
  assert.deepEqual(signIn.credentials("ana"), { Authorization: `Bearer ${anas}` });
  signIn.save(tokenWith({ sub: "bo" }));
  assert.deepEqual(signIn.credentials("ana"), {});
});

test("whose token expires in line keeps the place and is told to sign in again", async () => {
  const queued = { ticket: 120, ahead: 120, guaranteed: false, estimate: null, retryAfterMs: null };
  const statuses: Answer[] = [SIGNED_OUT, { kind: "issued", issue: COUPON }];
  const visit = new Visit(anEvent(), "ana", {
    api: {
      claim: async () => ({ kind: "queued", ...queued }),
      status: async () => statuses.shift() ?? SIGNED_OUT,
      events: async () => ({ events: [], next: null }),
      event: async () => null,
      mechanisms: async () => [],
    },
    store: openStore(null),
    isStreamUp: () => false,
    isHidden: () => false,
    changed() {},
  });
  await visit.claim();
  await due(visit);
  assert.equal(visit.place.ticket, 120);
  assert.equal(viewOf(visit, NOW).sentence.key, "place.signedOut");
  await due(visit);
  assert.deepEqual([visit.signedOut, visit.place.issue], [false, COUPON]);
  assert.notEqual(visit.place, NO_PLACE);
});

/** Makes whatever is due happen, and waits for its answer. */
async function due(visit: Visit): Promise<void> {
  visit.tick(Number.POSITIVE_INFINITY);
  await new Promise((resolve) => setImmediate(resolve));
}
