import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import { claim, makeEvent, openApp, OPERATOR } from "./support/app.ts";
import type { TestApp } from "./support/app.ts";

const good = { name: "Spring", mechanism: "kafka-queue", limit: 100 };

async function post(
  { app }: TestApp,
  payload: unknown,
  headers: Record<string, string> = OPERATOR,
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: "POST",
    url: "/events",
    headers: { "content-type": "application/json", ...headers },
    payload: typeof payload === "string" ? payload : JSON.stringify(payload),
  });
}

async function patch(
  { app }: TestApp,
  id: string,
  payload: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: "PATCH",
    url: `/events/${id}`,
    headers: { ...OPERATOR, ...headers },
    payload,
  });
}

describe("POST /events", () => {
  test("makes an event and answers it whole, with Location and ETag", async (t) => {
    const opened = await openApp(t);
    const answer = await post(opened, { ...good, id: "spring", pace: 5 });
    assert.equal(answer.statusCode, 201);
    assert.equal(answer.headers.location, "/events/spring");
    assert.equal(answer.headers.etag, '"1"');
    assert.deepEqual(answer.json(), {
      id: "spring",
      name: "Spring",
      mechanism: "kafka-queue",
      limit: 100,
      issued: 0,
      remaining: 100,
      state: "open",
      paused: false,
      opensAt: "2026-12-01T00:00:00.000Z",
      closesAt: null,
      pace: 5,
      version: 1,
      claim: "/v3/events/spring/issues",
      available: true,
    });
    const read = await opened.app.inject({ url: "/events/spring" });
    assert.deepEqual(read.json(), answer.json());
    assert.equal((await post(opened, { ...good, id: "spring" })).statusCode, 409);
  });

  test("takes times of any offset and answers them in UTC", async (t) => {
    const opened = await openApp(t);
    const answer = await post(opened, { ...good, opensAt: "2026-12-02T09:00:00+09:00" });
    assert.equal(answer.json<{ opensAt: string }>().opensAt, "2026-12-02T00:00:00.000Z");
    assert.equal(answer.json<{ state: string }>().state, "scheduled");
  });

  const refused: readonly [string, unknown][] = [
    ["limit 0", { ...good, limit: 0 }],
    ["limit 1,000,001", { ...good, limit: 1_000_001 }],
    ["limit 1.5", { ...good, limit: 1.5 }],
    ["a limit of text", { ...good, limit: "100" }],
    ["an endless limit", '{"name":"x","mechanism":"row-lock","limit":1e400}'],
    ["no limit", { name: "x", mechanism: "row-lock" }],
    ["an unknown field", { ...good, price: 1 }],
    ["__proto__", '{"name":"x","mechanism":"row-lock","limit":1,"__proto__":{}}'],
    ["an unknown mechanism", { ...good, mechanism: "luck" }],
    ["a pace without a queue", { ...good, mechanism: "row-lock", pace: 5 }],
    ["pace 0", { ...good, pace: 0 }],
    ["a blank name", { ...good, name: "  " }],
    ["an empty name", { ...good, name: "" }],
    ["a name of 101 characters", { ...good, name: "n".repeat(101) }],
    ["a control character", { ...good, name: "a\nb" }],
    ["NUL", { ...good, name: "a\u0000b" }],
    ["half a character", '{"name":"\\ud800","mechanism":"row-lock","limit":1}'],
    ["an id with capitals", { ...good, id: "Spring" }],
    ["an id of 64 characters", { ...good, id: "s".repeat(64) }],
    ["an id of null", { ...good, id: null }],
    ["a time that is none", { ...good, opensAt: "tomorrow" }],
    ["a day that is none", { ...good, opensAt: "2026-02-30T00:00:00Z" }],
    ["a time in the year 10000", { ...good, opensAt: "+010000-01-01T00:00:00Z" }],
    ["an opening of null", { ...good, opensAt: null }],
    [
      "a reversed window",
      { ...good, opensAt: "2026-12-02T00:00:00Z", closesAt: "2026-12-01T00:00:00Z" },
    ],
    [
      "an empty window",
      { ...good, opensAt: "2026-12-02T00:00:00Z", closesAt: "2026-12-02T00:00:00Z" },
    ],
    ["a close in the past", { ...good, closesAt: "2026-11-01T00:00:00Z" }],
    ["an array", []],
    ["null", null],
    ["nothing", ""],
    ["half an object", "{"],
    ["deep nesting", "[".repeat(10_000)],
  ];
  for (const [name, payload] of refused) {
    test(`refuses ${name} and makes nothing`, async (t) => {
      const opened = await openApp(t);
      const answer = await post(opened, payload);
      assert.equal(answer.statusCode, 400, answer.body);
      assert.equal(answer.json<{ type: string }>().type, "/problems/invalid-request");
      const list = await opened.app.inject({ url: "/events" });
      assert.deepEqual(list.json(), { events: [], next: null });
    });
  }

  test("never echoes what it refuses", async (t) => {
    const opened = await openApp(t);
    for (const payload of [
      { ...good, "<script>": 1 },
      { ...good, name: "<script>\n" },
      "<script>",
    ]) {
      assert.ok(!(await post(opened, payload)).body.includes("script"));
    }
  });

  test("refuses a body that is not JSON with 415, and one of 17 KiB with 413", async (t) => {
    const opened = await openApp(t);
    const text = { ...OPERATOR, "content-type": "text/plain" };
    assert.equal((await post(opened, "x", text)).statusCode, 415);
    assert.equal((await post(opened, { name: "n".repeat(17_000) })).statusCode, 413);
  });
});

describe("who may operate", () => {
  const callers: readonly [string, Record<string, string>, number][] = [
    ["nobody", {}, 401],
    ["a person", { "x-user-id": "ana" }, 403],
    ["a wrong token", { authorization: "Bearer wrong" }, 401],
    ["a wrong token beside a person", { authorization: "Bearer wrong", "x-user-id": "ana" }, 401],
    ["another scheme", { authorization: "Basic YTpi" }, 401],
  ];
  for (const [name, headers, status] of callers) {
    test(`answers ${status} to ${name} on every operator route`, async (t) => {
      const opened = await openApp(t);
      const id = await makeEvent(opened);
      const routes = [
        { method: "POST", url: "/events" },
        { method: "PATCH", url: `/events/${id}` },
        { method: "POST", url: `/events/${id}/void` },
        { method: "GET", url: `/events/${id}/issues` },
      ] as const;
      for (const route of routes) {
        const answer = await opened.app.inject({ ...route, headers, payload: {} });
        assert.equal(answer.statusCode, status, route.url);
        if (status === 401) assert.ok(answer.headers["www-authenticate"] !== undefined);
      }
    });
  }
});

describe("PATCH /events/{id}", () => {
  test("changes an event at its version and counts the change", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    const change = { name: "Summer", limit: 9, paused: true, closesAt: "2026-12-09T00:00:00Z" };
    const answer = await patch(opened, id, change, { "if-match": '"1"' });
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers.etag, '"2"');
    const event = answer.json<Record<string, unknown>>();
    assert.equal(event["name"], "Summer");
    assert.equal(event["limit"], 9);
    assert.equal(event["paused"], true);
    assert.equal(event["closesAt"], "2026-12-09T00:00:00.000Z");
    const opens = await patch(opened, id, { closesAt: null }, { "if-match": '"2"' });
    assert.equal(opens.json<Record<string, unknown>>()["closesAt"], null);
  });

  test("wants If-Match, and the current strong tag in it", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    assert.equal((await patch(opened, id, { limit: 9 })).statusCode, 428);
    // Red when a tag of another form is told to be stale: read again, it would be sent as before.
    for (const [tag, told] of [
      ['"2"', /at another version: read it again/],
      ["*", /is \*, which is any version/],
      ["1", /has no quotes/],
      ['W/"1"', /is a weak tag: leave out W\//],
      ['w/"1"', /is a weak tag: leave out W\//],
      ["W/1", /is a weak tag: leave out W\//],
      ['"1", "2"', /names several versions/],
      ["", /is empty/],
      ...['"01"', '""', "'1'", '"1-gzip"', '"1', "garbled"].map(
        (other) => [other, /is no tag that this service gave/] as const,
      ),
    ] as const) {
      const answer = await patch(opened, id, { limit: 9 }, { "if-match": tag });
      assert.equal(answer.statusCode, 412, tag);
      const problem = answer.json<{ type: string; detail: string }>();
      assert.equal(problem.type, "/problems/stale-version");
      assert.match(problem.detail, told, tag);
      assert.equal(/as in If-Match: "3"/.test(problem.detail), tag !== '"2"');
      assert.ok(!problem.detail.includes("garbled"));
    }
    assert.equal((await opened.sale.store.find(id))?.event.version, 1);
  });

  test("refuses to lower a limit, and to raise one that is sold out", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { limit: 1 });
    await claim(opened, id, "ana");
    const answer = await patch(opened, id, { limit: 2 }, { "if-match": '"1"' });
    assert.equal(answer.statusCode, 409);
    assert.equal(answer.json<{ type: string }>().type, "/problems/limit-not-raisable");
    const other = await makeEvent(opened, { limit: 5 });
    assert.equal((await patch(opened, other, { limit: 4 }, { "if-match": '"1"' })).statusCode, 409);
  });

  test("refuses an empty change, an unknown field and another mechanism", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    const changes = [{}, { price: 1 }, { mechanism: "kafka-queue" }, { pace: 5 }, { issued: 0 }];
    for (const change of changes) {
      const answer = await patch(opened, id, change, { "if-match": '"1"' });
      assert.equal(answer.statusCode, 400, JSON.stringify(change));
    }
    assert.equal((await opened.sale.store.find(id))?.event.version, 1);
  });
});

describe("reading", () => {
  test("pages through the events, newest first", async (t) => {
    const opened = await openApp(t);
    for (const id of ["a", "b", "c"]) await makeEvent(opened, { id });
    type List = { events: { id: string }[]; next: string | null };
    const first = (await opened.app.inject({ url: "/events?limit=2" })).json<List>();
    const second = (
      await opened.app.inject({ url: `/events?limit=2&cursor=${first.next}` })
    ).json<List>();
    const ids = [...first.events, ...second.events].map((event) => event.id);
    assert.deepEqual(ids, ["c", "b", "a"]);
    assert.equal(second.next, null);
  });

  test("refuses a limit or a cursor that is not valid", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    const queries = [
      "limit=0",
      "limit=501",
      "limit=-1",
      "limit=1.5",
      "limit=x",
      "limit=",
      "limit=1&limit=2",
      "cursor=-1",
      "cursor=x",
      "cursor=9007199254740993",
      "limit=99999999999999999999",
    ];
    for (const query of queries) {
      for (const path of ["/events", `/events/${id}/issues`]) {
        const answer = await opened.app.inject({ url: `${path}?${query}`, headers: OPERATOR });
        assert.equal(answer.statusCode, 400, `${path}?${query}`);
      }
    }
  });

  test("lists the coupon issues for an operator, with the person and the ticket", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { mechanism: "kafka-queue" });
    await claim(opened, id, "ana", "v3");
    opened.sale.decide(id);
    const answer = await opened.app.inject({ url: `/events/${id}/issues`, headers: OPERATOR });
    const [issue] = answer.json<{ issues: Record<string, unknown>[] }>().issues;
    assert.equal(issue?.["userId"], "ana");
    assert.equal(issue["ticket"], 0);
    assert.equal(issue["status"], "issued");
  });

  test("finds no event under an invalid id, on every route", async (t) => {
    const opened = await openApp(t);
    for (const id of [
      "nowhere",
      "+1",
      "1%20OR%201=1",
      "%00",
      "..%2f",
      "%F0%9F%8C%B8",
      "A",
      "a".repeat(64),
    ]) {
      const headers = { ...OPERATOR, "x-user-id": "ana", "if-match": '"1"' };
      const routes = [
        { method: "GET", url: `/events/${id}` },
        { method: "GET", url: `/events/${id}/stream` },
        { method: "GET", url: `/events/${id}/issues/me` },
        { method: "GET", url: `/events/${id}/issues` },
        { method: "PATCH", url: `/events/${id}`, payload: { limit: 9 } },
        { method: "POST", url: `/v1/events/${id}/issues` },
      ] as const;
      for (const route of routes) {
        const answer = await opened.app.inject({ headers, ...route });
        assert.equal(answer.statusCode, 404, `${route.method} ${route.url}: ${answer.body}`);
        assert.equal(answer.json<{ type: string }>().type, "/problems/no-such-event");
      }
    }
  });
});
