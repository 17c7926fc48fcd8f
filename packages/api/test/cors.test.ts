// What a page of another origin may ask. Red when `registerCors` comes after what refuses, when a route
// for operators says `forShops`, and when `vary` is left out for those who ask without an origin.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { readConfig } from "../src/config.ts";
import { makeEvent, openApp, OPERATOR, VERSION } from "./support/app.ts";
import type { TestApp } from "./support/app.ts";

const SHOP = "https://shop.example";
const STRANGER = "https://stranger.example";
const DATABASE_URL = "postgres://localhost/stampede";

async function openToShop(t: TestContext): Promise<TestApp> {
  return openApp(t, { corsOrigins: new Set([SHOP, "http://localhost:5173"]) });
}

type Asked = {
  readonly url: string;
  readonly method?: "GET" | "POST" | "PATCH" | "OPTIONS" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: string;
};

type ShopsRoute = {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly allow: string;
};

function shopsRoutes(id: string): readonly ShopsRoute[] {
  const method = "GET";
  return [
    { url: `/events/${id}`, method, allow: "GET, HEAD, OPTIONS" },
    { url: `/events/${id}/issues/me`, method, allow: "GET, HEAD, OPTIONS" },
    { url: `/events/${id}/stream`, method, allow: "GET, OPTIONS" },
    ...Object.values(VERSION).map((version) => ({
      url: `/${version}/events/${id}/issues`,
      method: "POST" as const,
      allow: "OPTIONS, POST",
    })),
  ];
}

describe("a page of another origin", () => {
  test("may ask nothing while no origin is named", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    for (const { url, method } of shopsRoutes(id)) {
      if (url.endsWith("/stream")) continue;
      const answer = await opened.app.inject({ url, method, headers: { origin: SHOP } });
      assert.equal(answer.headers["access-control-allow-origin"], undefined, url);
      assert.equal(answer.headers.vary, undefined);
      const preflight = await opened.app.inject({ url, method: "OPTIONS" });
      assert.equal(preflight.statusCode, 405, url);
    }
  });

  test("may claim, ask and watch where its origin is named, after a preflight", async (t) => {
    const opened = await openToShop(t);
    const id = await makeEvent(opened);
    for (const { url, method, allow } of shopsRoutes(id)) {
      const asking = {
        origin: SHOP,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,x-user-id",
      };
      const { statusCode, headers, body } = await opened.app.inject({
        url,
        method: "OPTIONS",
        headers: asking,
      });
      assert.deepEqual([statusCode, body], [204, ""], url);
      assert.equal(headers["access-control-allow-origin"], SHOP);
      assert.equal(headers["access-control-allow-methods"], allow);
      const allowed = String(headers["access-control-allow-headers"]).toLowerCase();
      assert.ok(
        ["authorization", "x-user-id"].every((name) => allowed.includes(name)),
        allowed,
      );
      assert.match(String(headers["access-control-max-age"]), /^\d+$/);
      assert.equal(headers["access-control-allow-credentials"], undefined);
      assert.equal(headers.vary, "Origin");
    }
  });

  test("reads every answer, refusals too, with the headers that it needs", async (t) => {
    const opened = await openToShop(t);
    const id = await makeEvent(opened, { limit: 1 });
    const later = await makeEvent(opened, { opensAt: "2027-01-01T00:00:00Z" });
    const claims = `/v1/events/${id}/issues`;
    const ana = { "x-user-id": "ana" };
    const cases: readonly [number, Asked][] = [
      [200, { url: `/events/${id}` }],
      [200, { url: `/events/${id}`, method: "HEAD" }],
      [404, { url: "/events/nothing" }],
      [401, { url: claims, method: "POST" }],
      [400, { url: claims, method: "POST", headers: { "x-user-id": "two words" } }],
      [404, { url: "/v1/events/nothing/issues", method: "POST", headers: ana }],
      [413, { url: claims, method: "POST", headers: ana, payload: "x".repeat(2_000) }],
      [415, { url: claims, method: "POST", headers: ana, payload: "x" }],
      [201, { url: claims, method: "POST", headers: ana }],
      [409, { url: claims, method: "POST", headers: { "x-user-id": "bo" } }],
      [409, { url: `/v1/events/${later}/issues`, method: "POST", headers: ana }],
      [200, { url: `/events/${id}/issues/me`, headers: ana }],
      [400, { url: `/events/${id}/issues/me?ticket=x`, headers: ana }],
    ];
    for (const [status, asked] of cases) {
      const answer = await opened.app.inject({
        ...asked,
        headers: { ...asked.headers, origin: SHOP },
      });
      const name = `${status} of ${asked.url}`;
      assert.equal(answer.statusCode, status, name);
      assert.equal(answer.headers["access-control-allow-origin"], SHOP, name);
      const exposed = String(answer.headers["access-control-expose-headers"]);
      assert.ok(
        ["Date", "Retry-After"].every((header) => exposed.includes(header)),
        exposed,
      );
    }
    opened.drain();
    const answer = await opened.app.inject({
      url: claims,
      method: "POST",
      headers: { origin: SHOP },
    });
    assert.deepEqual(
      [answer.statusCode, answer.headers["access-control-allow-origin"]],
      [503, SHOP],
    );
  });

  test("reads that it asks too often, and that an engine is away", async (t) => {
    const corsOrigins = new Set([SHOP]);
    const busy = await openApp(t, { corsOrigins, admit: () => 5_000 });
    const headers = { origin: SHOP, "x-user-id": "ana" };
    const id = await makeEvent(busy);
    const answer = await busy.app.inject({ url: `/events/${id}/issues/me`, headers });
    assert.deepEqual(
      [answer.statusCode, answer.headers["access-control-allow-origin"]],
      [429, SHOP],
    );
  });

  test("watches, with its origin in the head of the stream", async (t) => {
    const opened = await openToShop(t);
    const id = await makeEvent(opened);
    const url = await opened.app.listen({ host: "127.0.0.1", port: 0 });
    const ending = new AbortController();
    const answer = await fetch(`${url}/events/${id}/stream`, {
      headers: { origin: SHOP },
      signal: ending.signal,
    });
    assert.equal(answer.headers.get("access-control-allow-origin"), SHOP);
    assert.equal(answer.headers.get("vary"), "Origin");
    assert.match(String(answer.headers.get("content-type")), /^text\/event-stream/);
    ending.abort();
  });

  test("is told 403 to its preflight where another one is named, and reads no answer", async (t) => {
    const opened = await openToShop(t);
    const id = await makeEvent(opened);
    for (const origin of [STRANGER, "null", `${SHOP}.evil.example`, "HTTPS://SHOP.EXAMPLE"]) {
      for (const { url, method } of shopsRoutes(id)) {
        const preflight = await opened.app.inject({ url, method: "OPTIONS", headers: { origin } });
        assert.equal(preflight.statusCode, 403, url);
        assert.match(preflight.body, /CORS_ORIGINS/);
        assert.equal(preflight.headers["access-control-allow-origin"], undefined);
        if (url.endsWith("/stream")) continue;
        const answer = await opened.app.inject({ url, method, headers: { origin } });
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
        assert.equal(answer.headers.vary, "Origin");
      }
    }
  });

  test("never reaches what is for operators, for machines or for our own pages", async (t) => {
    const opened = await openToShop(t);
    const id = await makeEvent(opened);
    const headers = { origin: SHOP, ...OPERATOR };
    const asked: readonly Asked[] = [
      { url: "/events" },
      { url: "/events", method: "POST" },
      { url: `/events/${id}`, method: "PATCH" },
      { url: `/events/${id}/issues` },
      { url: `/events/${id}/void`, method: "POST" },
      { url: "/metrics" },
      { url: "/readyz" },
      { url: "/openapi.json" },
      { url: "/" },
      { url: "/app.js" },
      { url: "/nothing" },
    ];
    for (const { url, method = "GET" } of asked) {
      const answer = await opened.app.inject({ url, method, headers });
      assert.equal(answer.headers["access-control-allow-origin"], undefined, `${method} ${url}`);
    }
    for (const url of ["/events", `/events/${id}/issues`, `/events/${id}/void`, "/metrics"]) {
      const preflight = await opened.app.inject({ url, method: "OPTIONS", headers });
      assert.equal(preflight.statusCode, 405, url);
    }
    const ofEvent = await opened.app.inject({ url: `/events/${id}`, method: "OPTIONS", headers });
    assert.equal(ofEvent.headers["access-control-allow-methods"], "GET, HEAD, OPTIONS");
  });
});

test("an origin that no browser sends so is a fault of the settings, and never repeated", () => {
  const cases: readonly [string, RegExp][] = [
    ["*", /entry 1: name each origin, for \* would let pages of strangers claim/],
    ["https://*.shop.example", /entry 1: name each origin/],
    [`${SHOP}, null`, /entry 2: null is the origin of any sandboxed page/],
    ["shop.example", /entry 1: an origin is a scheme, a host/],
    ["ftp://shop.example", /entry 1: an origin is a scheme/],
    ["file:///shop", /entry 1: an origin is a scheme/],
    [`${SHOP},`, /entry 2: an origin is a scheme/],
    [
      "https://shop.example/",
      /entry 1: browsers send it as https:\/\/shop\.example, so write that/,
    ],
    ["https://shop.example/cart", /browsers send it as https:\/\/shop\.example,/],
    ["https://Shop.Example", /browsers send it as https:\/\/shop\.example,/],
    ["https://shop.example:443", /browsers send it as https:\/\/shop\.example,/],
    ["https://쇼핑.example", /browsers send it as https:\/\/xn--/],
    ["https://me:secret@shop.example", /browsers send it as https:\/\/shop\.example,/],
  ];
  for (const [text, told] of cases) {
    const reading = readConfig({ DATABASE_URL, CORS_ORIGINS: text });
    const [fault = "", ...others] = reading.ok ? [] : reading.faults;
    assert.match(fault, told, text);
    assert.deepEqual(others, []);
    assert.ok(!fault.includes("secret"));
  }
});

test("a connection is kept for as long as the settings say", async (t) => {
  const { app } = await openApp(t, { keepAliveMs: 620_000 });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  const answer = await fetch(`${url}/healthz`);
  assert.equal(answer.headers.get("keep-alive"), "timeout=620");
  for (const seconds of ["54", "3601", "long"]) {
    const reading = readConfig({ DATABASE_URL, KEEP_ALIVE_SECONDS: seconds });
    assert.match(
      String(reading.ok || reading.faults),
      /^KEEP_ALIVE_SECONDS must be a whole number from 55 \(more than nginx keeps\) to 3600$/,
    );
  }
});
