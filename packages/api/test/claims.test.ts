import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineFault } from "@stampede/domain";
import type { CouponIssuer } from "@stampede/domain";
import { memoryMechanisms } from "@stampede/domain/memory";
import { claim, makeEvent, openApp, OPERATOR, VERSION } from "./support/app.ts";

describe("POST /v1|v2|v3/events/{id}/issues", () => {
  for (const mechanism of ["row-lock", "redis-counter"] as const) {
    test(`${mechanism}: 201 with Location, then 200 with the same coupon, then 409 for others`, async (t) => {
      const opened = await openApp(t);
      const id = await makeEvent(opened, { mechanism, limit: 1 });
      const first = await claim(opened, id, "ana", VERSION[mechanism]);
      assert.equal(first.statusCode, 201);
      assert.equal(first.headers.location, `/events/${id}/issues/me`);
      const issue = first.json<Record<string, unknown>>();
      assert.deepEqual(Object.keys(issue).sort(), ["code", "eventId", "issuedAt", "seq", "status"]);
      assert.equal(issue["issuedAt"], "2026-12-01T00:00:00.000Z");
      const again = await claim(opened, id, "ana", VERSION[mechanism]);
      assert.equal(again.statusCode, 200);
      assert.deepEqual(again.json(), issue);
      const late = await claim(opened, id, "bo", VERSION[mechanism]);
      assert.equal(late.statusCode, 409);
      assert.match(String(late.headers["content-type"]), /^application\/problem\+json/);
      assert.equal(late.json<{ type: string }>().type, "/problems/sold-out");
    });
  }

  test("kafka-queue: answers 202 with the ticket in Location, then what became of it", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { mechanism: "kafka-queue", limit: 1 });
    await claim(opened, id, "ana", "v3");
    const queued = await claim(opened, id, "bo", "v3");
    assert.equal(queued.statusCode, 202);
    assert.equal(queued.headers.location, `/events/${id}/issues/me?ticket=1`);
    assert.deepEqual(queued.json(), {
      eventId: id,
      status: "queued",
      ticket: 1,
      ahead: 1,
      guaranteed: false,
      estimate: null,
    });
    const ask = async (userId: string): Promise<unknown> =>
      (
        await opened.app.inject({
          url: String(queued.headers.location),
          headers: { "x-user-id": userId },
        })
      ).json();
    assert.deepEqual(await ask("bo"), queued.json());
    opened.sale.decide(id);
    assert.deepEqual(await ask("bo"), { eventId: id, status: "sold-out" });
    assert.equal(((await ask("ana")) as { status: string }).status, "issued");
  });

  test("tells a claim on another mechanism's path which path is right", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { mechanism: "redis-counter" });
    const answer = await claim(opened, id, "ana", "v3");
    assert.equal(answer.statusCode, 409);
    assert.equal(answer.json<{ claim: string }>().claim, `/v2/events/${id}/issues`);
  });

  test("refuses before the opening with opensAt and whole seconds of Retry-After", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { opensAt: "2026-12-01T00:00:01.500Z" });
    const answer = await claim(opened, id, "ana");
    assert.equal(answer.statusCode, 409);
    assert.equal(answer.headers["retry-after"], "2");
    assert.equal(answer.json<{ opensAt: string }>().opensAt, "2026-12-01T00:00:01.500Z");
    opened.clock.nowMs += 1_500;
    assert.equal((await claim(opened, id, "ana")).statusCode, 201);
  });

  test("refuses at closesAt and while paused", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { closesAt: "2026-12-01T00:00:01.000Z" });
    const paused = { paused: true };
    const headers = { ...OPERATOR, "if-match": '"1"' };
    await opened.app.inject({ method: "PATCH", url: `/events/${id}`, headers, payload: paused });
    const type = async (): Promise<string> =>
      (await claim(opened, id, "ana")).json<{ type: string }>().type;
    assert.equal(await type(), "/problems/paused");
    opened.clock.nowMs += 1_000;
    assert.equal(await type(), "/problems/closed");
  });

  test("answers unavailable when nothing was applied, and outcome-unknown when it may have been", async (t) => {
    const failing = (outcome: "not-applied" | "unknown"): CouponIssuer => ({
      claim: async () => {
        throw new EngineFault("postgres", outcome, "planted", { retryAfterMs: 2_500 });
      },
      status: async () => ({ kind: "none" }),
      available: () => false,
    });
    const opened = await openApp(t, {
      issuers: { "row-lock": failing("not-applied"), "redis-counter": failing("unknown") },
    });
    const down = await claim(opened, await makeEvent(opened), "ana");
    assert.equal(down.statusCode, 503);
    assert.equal(down.headers["retry-after"], "3");
    assert.equal(down.json<{ type: string }>().type, "/problems/unavailable");
    const id = await makeEvent(opened, { mechanism: "redis-counter" });
    const unknown = await claim(opened, id, "ana", "v2");
    assert.equal(unknown.statusCode, 503);
    const problem = unknown.json<{ type: string; statusUrl: string }>();
    assert.equal(problem.type, "/problems/outcome-unknown");
    assert.equal(problem.statusUrl, `/events/${id}/issues/me`);
  });

  test("hides a bug behind a request id and logs it once", async (t) => {
    const broken: CouponIssuer = {
      claim: async () => {
        throw new TypeError("secret inside");
      },
      status: async () => ({ kind: "none" }),
      available: () => true,
    };
    const opened = await openApp(t, { issuers: { "row-lock": broken } });
    const answer = await claim(opened, await makeEvent(opened), "ana");
    assert.equal(answer.statusCode, 500);
    assert.ok(!answer.body.includes("secret"));
    assert.equal(opened.lines.filter((line) => line.includes("secret inside")).length, 1);
  });

  test("never logs a code, and writes at most one line for a refusal", async (t) => {
    const opened = await openApp(t, { logLevel: "trace" });
    const id = await makeEvent(opened, { limit: 1 });
    const issue = (await claim(opened, id, "ana")).json<{ code: string }>();
    opened.lines.length = 0;
    await claim(opened, id, "bo");
    await claim(opened, id, "bad id!");
    assert.ok(opened.lines.filter((line) => line.includes("refused")).length <= 2);
    assert.ok(!opened.lines.join("").includes(issue.code));
  });

  test("turns requests away once a shutdown has begun", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    opened.drain();
    const answer = await claim(opened, id, "ana");
    assert.equal(answer.statusCode, 503);
    assert.equal(answer.headers.connection, "close");
    assert.equal(answer.json<{ type: string }>().type, "/problems/unavailable");
  });
});

describe("the form of a claim", () => {
  const url = (id: string): string => `/v1/events/${id}/issues`;
  const good = { "x-user-id": "ana" };

  const passing: readonly [string, Record<string, string>, string | Buffer][] = [
    ["no body", {}, ""],
    ["{}", { "content-type": "application/json" }, "{}"],
    ["{} with a charset", { "content-type": "application/json; charset=UTF-8" }, " {} "],
    ["an empty body that says JSON", { "content-type": "application/json" }, ""],
    ["an empty body that says XML", { "content-type": "text/xml" }, ""],
    ["an empty form", { "content-type": "application/x-www-form-urlencoded" }, ""],
  ];
  for (const [name, headers, payload] of passing) {
    test(`passes ${name}`, async (t) => {
      const opened = await openApp(t);
      const id = await makeEvent(opened);
      const answer = await opened.app.inject({
        method: "POST",
        url: url(id),
        headers: { ...good, ...headers, "content-length": String(payload.length) },
        payload,
      });
      assert.equal(answer.statusCode, 201, answer.body);
    });
  }

  const json = { "content-type": "application/json" };
  const failing: readonly [string, Record<string, string>, string | Buffer, number][] = [
    ["null", json, "null", 400],
    ["an array", json, "[]", 400],
    ["a user id", json, '{"userId":"x"}', 400],
    ["__proto__", json, '{"__proto__":{}}', 400],
    ["half an object", json, "{", 400],
    ["trailing bytes", json, "{} x", 400],
    ["a byte order mark", json, "\ufeff{}", 400],
    ["bytes that are no UTF-8", json, Buffer.from([0x7b, 0xff, 0x7d]), 400],
    ["deep nesting", json, "[".repeat(1_000), 400],
    ["more than 1 KiB", json, `{}${" ".repeat(1_023)}`, 413],
    ["text", { "content-type": "text/plain" }, "{}", 415],
    ["no type", {}, Buffer.from("{}"), 415],
    ["another charset", { "content-type": "application/json; charset=latin1" }, "{}", 415],
    ["an encoding", { ...json, "content-encoding": "gzip" }, "{}", 415],
  ];
  for (const [name, headers, payload, status] of failing) {
    test(`refuses ${name} with ${status} and changes nothing`, async (t) => {
      const opened = await openApp(t);
      const id = await makeEvent(opened);
      const answer = await opened.app.inject({
        method: "POST",
        url: url(id),
        headers: { ...good, ...headers },
        payload,
      });
      assert.equal(answer.statusCode, status, answer.body);
      assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
      assert.equal((await opened.sale.store.find(id))?.event.issued, 0);
    });
  }

  const persons: readonly [string, string | string[] | undefined, number][] = [
    ["no header", undefined, 401],
    ["an empty one", "", 400],
    ["256 characters", "a".repeat(256), 400],
    ["two headers", ["ana", "bo"], 400],
    ["a space", "a b", 400],
    ["a letter of another alphabet", "\u00e9", 400],
    ["a control character", "a\u007fb", 400],
    ["a star", "*", 201],
    ["braces", "{}", 201],
    ["a colon", "a:b", 201],
    ["a comma", "a,b", 201],
    ["a provider's bar", "auth0|abc", 201],
    ["255 characters", "a".repeat(255), 201],
    ["every kind of character", `A.z_0~@-+/=|:;,"'\\<>()[]{}!#$%&*?^\``, 201],
  ];
  for (const [name, userId, status] of persons) {
    test(`answers ${status} to a person with ${name}`, async (t) => {
      const opened = await openApp(t);
      const id = await makeEvent(opened);
      const headers = userId === undefined ? {} : { "x-user-id": userId };
      const answer = await opened.app.inject({ method: "POST", url: url(id), headers });
      assert.equal(answer.statusCode, status, answer.body);
      if (status === 401) assert.ok(answer.headers["www-authenticate"] !== undefined);
    });
  }

  test("judges credentials before the form, and the form before the event", async (t) => {
    const opened = await openApp(t);
    const send = async (headers: Record<string, string>, payload: string): Promise<number> =>
      (
        await opened.app.inject({
          method: "POST",
          url: url("nowhere"),
          headers: { ...json, ...headers },
          payload,
        })
      ).statusCode;
    assert.equal(await send({}, "[]"), 401);
    assert.equal(await send(good, "[]"), 400);
    assert.equal(await send(good, "{}"), 404);
  });
});

describe("GET /events/{id}/issues/me", () => {
  test("refuses a ticket that is not a number and accepts a made-up one", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    const ask = async (query: string, headers: Record<string, string>): Promise<number> =>
      (await opened.app.inject({ url: `/events/${id}/issues/me${query}`, headers })).statusCode;
    const ana = { "x-user-id": "ana" };
    for (const ticket of [
      "-1",
      "1.5",
      "x",
      "",
      "9007199254740992",
      "99999999999999999999",
      "1e3",
    ]) {
      assert.equal(await ask(`?ticket=${ticket}`, ana), 400, ticket);
    }
    assert.equal(await ask("?ticket=1&ticket=2", ana), 400);
    assert.equal(await ask("?ticket=9007199254740991", ana), 200);
    assert.equal(await ask("?ticket=x", {}), 401);
  });

  test("answers none before the end and sold-out after it, to whoever holds no coupon", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { limit: 1 });
    const ask = async (): Promise<unknown> =>
      (
        await opened.app.inject({
          url: `/events/${id}/issues/me`,
          headers: { "x-user-id": "bo" },
        })
      ).json();
    assert.deepEqual(await ask(), { eventId: id, status: "none" });
    await claim(opened, id, "ana");
    assert.deepEqual(await ask(), { eventId: id, status: "sold-out" });
  });

  test("shows no person another's coupon, in a thousand tries", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { mechanism: "kafka-queue", limit: 500 });
    for (let n = 0; n < 500; n += 1) await claim(opened, id, `p${n}`, "v3");
    opened.sale.decide(id);
    for (let n = 0; n < 1_000; n += 1) {
      const headers = { "x-user-id": `q${n}` };
      const url = `/events/${id}/issues/me?ticket=${n % 500}`;
      const status = (await opened.app.inject({ url, headers })).json<{ status: string }>();
      assert.equal(status.status, "sold-out");
    }
  });
});

test("every mechanism has a path of its own", async (t) => {
  const opened = await openApp(t);
  for (const { name: mechanism } of memoryMechanisms) {
    const id = await makeEvent(opened, { mechanism });
    const event = (await opened.app.inject({ url: `/events/${id}` })).json<{ claim: string }>();
    assert.equal(event.claim, `/${VERSION[mechanism]}/events/${id}/issues`);
  }
});
