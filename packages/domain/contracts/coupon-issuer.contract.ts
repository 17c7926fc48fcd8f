import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { describe, test } from "node:test";
import type { EventId, UserId } from "../src/ids.ts";
import { parseUserId } from "../src/ids.ts";
import { CODE_PATTERN } from "../src/model/coupon-issue.ts";
import type { CouponIssue } from "../src/model/coupon-issue.ts";
import type { CouponIssuer, EventStore } from "../src/ports.ts";
import { ok } from "../src/result.ts";
import { settle } from "./settle.ts";
import { until } from "./until.ts";

/** An event for a test; times are relative to the database's now, in milliseconds. */
export type OpenEvent = {
  readonly limit: number;
  readonly opensInMs?: number;
  readonly closesInMs?: number;
};

type OpenedIssuer = {
  readonly issuer: CouponIssuer;
  readonly eventId: EventId;
  readonly store: EventStore;
};

/** Makes an event of the mechanism under test and cleans up by `t.after`. */
export type OpenIssuer = (t: TestContext, event: OpenEvent) => Promise<OpenedIssuer>;

/** An operator's change counts at once or within a second, whatever the mechanism promises. */
const OPERATOR_CHANGE = { msMax: 1_000 };

/** What every mechanism must do. */
export function couponIssuerContract(mechanism: string, open: OpenIssuer): void {
  describe(`CouponIssuer contract: ${mechanism}`, () => {
    test("gives a person a coupon issue that names event, person, number and code", async (t) => {
      const { issuer, eventId } = await open(t, { limit: 3 });
      const couponIssue = issued(await settle(issuer, eventId, person(1)));
      assert.equal(couponIssue.eventId, eventId);
      assert.equal(couponIssue.userId, person(1));
      assert.equal(couponIssue.seq, 1);
      assert.match(couponIssue.code, new RegExp(CODE_PATTERN));
    });

    test("gives a person who asks again the same coupon issue", async (t) => {
      const { issuer, eventId } = await open(t, { limit: 2 });
      const first = issued(await settle(issuer, eventId, person(1)));
      const again = await issuer.claim(eventId, person(1));
      assert.deepEqual(again, { kind: "replayed", couponIssue: first });
    });

    test("gives one coupon to a person who claims fifty times at once", async (t) => {
      const { issuer, eventId, store } = await open(t, { limit: 60 });
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => settle(issuer, eventId, person(1))),
      );
      assert.equal(new Set(answers.map((answer) => issued(answer).code)).size, 1);
      assert.equal((await rows(store, eventId)).length, 1);
    });

    test("issues exactly the limit to a crowd ten times its size", async (t) => {
      const { issuer, eventId, store } = await open(t, { limit: 20 });
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, n) => settle(issuer, eventId, person(n))),
      );
      const winners = answers.filter((answer) => typeof answer === "object").map(issued);
      assert.equal(answers.filter((answer) => answer === "sold-out").length, 180);
      assert.deepEqual(winners.toSorted(bySeq), await rows(store, eventId));
      assert.deepEqual(
        winners.toSorted(bySeq).map((winner) => winner.seq),
        Array.from({ length: 20 }, (_, n) => n + 1),
      );
      assert.equal(new Set(winners.map((winner) => winner.userId)).size, 20);
    });

    test("gives everybody one when there is one for everybody", async (t) => {
      const { issuer, eventId, store } = await open(t, { limit: 300 });
      await Promise.all(
        Array.from({ length: 300 }, async (_, n) =>
          issued(await settle(issuer, eventId, person(n))),
        ),
      );
      assert.deepEqual(
        (await rows(store, eventId)).map((row) => row.seq),
        Array.from({ length: 300 }, (_, n) => n + 1),
      );
    });

    test("tells apart persons whose ids differ only by case", async (t) => {
      const { issuer, eventId } = await open(t, { limit: 2 });
      const lower = issued(await settle(issuer, eventId, id("ana")));
      const upper = issued(await settle(issuer, eventId, id("Ana")));
      assert.notEqual(lower.seq, upper.seq);
    });

    test("serves persons in the order in which they were answered", async (t) => {
      const { issuer, eventId } = await open(t, { limit: 5 });
      for (let n = 1; n <= 5; n += 1) {
        assert.equal(issued(await settle(issuer, eventId, person(n))).seq, n);
      }
    });

    test("keeps sold out final, and holders their coupon", async (t) => {
      const { issuer, eventId } = await open(t, { limit: 1 });
      const holder = issued(await settle(issuer, eventId, person(1)));
      assert.equal(await settle(issuer, eventId, person(2)), "sold-out");
      const late = await issuer.claim(eventId, person(3));
      assert.deepEqual(late, { kind: "refused", refusal: { kind: "sold-out" } });
      assert.deepEqual(await issuer.claim(eventId, person(1)), {
        kind: "replayed",
        couponIssue: holder,
      });
    });

    windowTests(open);
    statusTests(open);
  });
}

function windowTests(open: OpenIssuer): void {
  test("refuses a claim before the window opens, with the opening time", async (t) => {
    const { issuer, eventId, store } = await open(t, { limit: 1, opensInMs: 3_600_000 });
    const opensAtMs = (await store.find(eventId))?.event.opensAtMs;
    const answer = await issuer.claim(eventId, person(1));
    assert.ok(answer.kind === "refused" && answer.refusal.kind === "not-open");
    assert.equal(answer.refusal.opensAtMs, opensAtMs);
    assert.ok(Math.abs(answer.refusal.waitMs - 3_600_000) < 60_000);
    assert.deepEqual(await rows(store, eventId), []);
  });

  test("refuses a claim after the window has closed", async (t) => {
    const { issuer, eventId } = await open(t, { limit: 1, opensInMs: -9_000, closesInMs: -1_000 });
    const answer = await issuer.claim(eventId, person(1));
    assert.deepEqual(answer, { kind: "refused", refusal: { kind: "closed" } });
  });

  test("refuses a claim while paused, but gives a holder the coupon again", async (t) => {
    const { issuer, eventId, store } = await open(t, { limit: 100_000 });
    const holder = issued(await settle(issuer, eventId, person(1)));
    await store.change(eventId, 1, (event) => ok({ ...event, paused: true, version: 2 }));
    // Each time somebody else: who got a coupon before the change counted would have it replayed.
    // And twice in a row, for two instances that learn of the change one after the other.
    let asked = 1;
    const isRefused = async (): Promise<boolean> => {
      asked += 1;
      return (await issuer.claim(eventId, person(asked))).kind === "refused";
    };
    await until(
      async () => (await isRefused()) && (await isRefused()),
      "a pause counts",
      OPERATOR_CHANGE,
    );
    assert.deepEqual(await issuer.claim(eventId, person(asked + 1)), {
      kind: "refused",
      refusal: { kind: "paused" },
    });
    assert.deepEqual(await issuer.claim(eventId, person(1)), {
      kind: "replayed",
      couponIssue: holder,
    });
    await store.change(eventId, 2, (event) => ok({ ...event, paused: false, version: 3 }));
    await until(
      async () => {
        const answer = await issuer.claim(eventId, person(asked + 2));
        return answer.kind !== "refused";
      },
      "the end of a pause counts",
      OPERATOR_CHANGE,
    );
  });

  test("hands out the further coupons of a raised limit", async (t) => {
    const { issuer, eventId, store } = await open(t, { limit: 2 });
    issued(await settle(issuer, eventId, person(1)));
    await store.change(eventId, 1, (event) => ok({ ...event, limit: 3, version: 2 }));
    issued(await settle(issuer, eventId, person(2)));
    issued(await settle(issuer, eventId, person(3)));
    assert.equal(await settle(issuer, eventId, person(4)), "sold-out");
  });
}

function statusTests(open: OpenIssuer): void {
  test("tells the status of a holder, and of a stranger before and after the end", async (t) => {
    const { issuer, eventId } = await open(t, { limit: 2 });
    const holder = issued(await settle(issuer, eventId, person(1)));
    assert.deepEqual(await issuer.status(eventId, person(1), null), {
      kind: "issued",
      couponIssue: holder,
    });
    assert.deepEqual(await issuer.status(eventId, person(9), null), { kind: "none" });
    await settle(issuer, eventId, person(2));
    assert.deepEqual(await issuer.status(eventId, person(9), null), { kind: "sold-out" });
  });

  test("lets a made-up ticket change nobody else's answer", async (t) => {
    const { issuer, eventId } = await open(t, { limit: 2 });
    const holder = issued(await settle(issuer, eventId, person(1)));
    const stranger = await issuer.status(eventId, person(9), 0);
    assert.notEqual(stranger.kind, "issued");
    const status = await issuer.status(eventId, person(1), 999_999);
    assert.deepEqual(status, { kind: "issued", couponIssue: holder });
  });

  test("can take claims while its engines are there", async (t) => {
    const { issuer, eventId } = await open(t, { limit: 1 });
    await settle(issuer, eventId, person(1));
    assert.equal(issuer.available(eventId), true);
  });
}

function bySeq(a: CouponIssue, b: CouponIssue): number {
  return a.seq - b.seq;
}

async function rows(store: EventStore, eventId: EventId): Promise<readonly CouponIssue[]> {
  const page = await store.issues(eventId, { size: 500, cursor: null });
  assert.ok(page.ok);
  return page.value.entries;
}

function issued(answer: Awaited<ReturnType<typeof settle>>): CouponIssue {
  assert.ok(
    typeof answer === "object" && "code" in answer,
    `issued, not ${JSON.stringify(answer)}`,
  );
  return answer;
}

function person(n: number): UserId {
  return id(`person-${n}`);
}

function id(text: string): UserId {
  const userId = parseUserId(text);
  assert.ok(userId !== null);
  return userId;
}
