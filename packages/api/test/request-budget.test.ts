// Red when the budget is shared by an address, when it does not refill, when a turn
// of generations forgets who has just asked (`before`), and when it is not asked.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseUserId } from "@stampede/domain";
import fc from "fast-check";
import { requestBudget, REQUESTS_AT_ONCE, REQUESTS_PER_SECOND } from "../src/request-budget.ts";
import { openApp } from "./support/app.ts";
import { claimBy, key, makeEvent, trusted } from "./support/jwt.ts";
import { bearer, openJwtApp, tokenOf } from "./support/tokens.ts";

const REFILL_MS = (REQUESTS_AT_ONCE / REQUESTS_PER_SECOND) * 1_000;
const ana = parseUserId("ana")!;
const bo = parseUserId("bo")!;

describe("the budget of a person at an address", () => {
  test("lets a burst pass, then a steady rate, and says how long to wait", () => {
    let nowMs = 1_000;
    const admit = requestBudget(() => nowMs);
    for (let n = 0; n < REQUESTS_AT_ONCE; n += 1) assert.equal(admit(ana, "a"), 0);
    const waitMs = admit(ana, "a");
    assert.equal(waitMs, 1_000 / REQUESTS_PER_SECOND);
    assert.deepEqual([admit(bo, "a"), admit(ana, "b")], [0, 0], "another person, another address");
    nowMs += waitMs;
    assert.equal(admit(ana, "a"), 0);
    assert.ok(admit(ana, "a") > 0);
    nowMs += 60_000;
    for (let n = 0; n < REQUESTS_AT_ONCE; n += 1) assert.equal(admit(ana, "a"), 0);
    assert.ok(admit(ana, "a") > 0);
  });

  test("is not given anew when those who have not asked are forgotten", () => {
    let nowMs = 0;
    const admit = requestBudget(() => nowMs);
    nowMs = REFILL_MS - 100;
    for (let n = 0; n < REQUESTS_AT_ONCE; n += 1) assert.equal(admit(ana, "a"), 0);
    nowMs = REFILL_MS + 101;
    assert.deepEqual([admit(ana, "a"), admit(ana, "a") > 0], [0, true]);
  });

  test("whatever the gaps, no span of time lets more pass than it should", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 200 }), (gaps) => {
        let nowMs = 0;
        const admit = requestBudget(() => nowMs);
        const passed: number[] = [];
        for (const gapMs of gaps) {
          nowMs += gapMs;
          if (admit(ana, "a") === 0) passed.push(nowMs);
        }
        for (const [first, fromMs] of passed.entries()) {
          for (const [more, toMs] of passed.slice(first).entries()) {
            const allowed = REQUESTS_AT_ONCE + ((toMs - fromMs) / 1_000) * REQUESTS_PER_SECOND;
            assert.ok(more + 1 <= allowed + 1e-6);
          }
        }
      }),
    );
  });
});

test("with tokens, one request too many gets 429 and changes nothing", async (t) => {
  const opened = await openJwtApp(t, trusted, { admit: requestBudget(() => 0) });
  const id = await makeEvent(opened);
  const anas = bearer(tokenOf(key));
  for (let n = 0; n < REQUESTS_AT_ONCE; n += 1) {
    const url = `/events/${id}/issues/me`;
    assert.equal((await opened.app.inject({ url, headers: anas })).statusCode, 200);
  }
  const refused = await claimBy(opened, id, anas);
  assert.equal(refused.statusCode, 429);
  assert.equal(refused.headers["retry-after"], "1");
  assert.equal(refused.json<{ type: string }>().type, "/problems/too-many-requests");
  const event = (await opened.app.inject({ url: `/events/${id}` })).json<{ issued: number }>();
  assert.equal(event.issued, 0);
  const bos = bearer(tokenOf(key, { claims: { sub: "bo" } }));
  assert.equal((await claimBy(opened, id, bos)).statusCode, 201);
});

test("without tokens no request is limited", async (t) => {
  const { app } = await openApp(t);
  const headers = { "x-user-id": "ana" };
  for (let n = 0; n < REQUESTS_AT_ONCE * 3; n += 1) {
    const answer = await app.inject({ url: "/events/nowhere/issues/me", headers });
    assert.equal(answer.statusCode, 404);
  }
});
