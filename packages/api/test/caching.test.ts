// What may be kept, and by whom. Red when `registerAnswerHeaders` says nothing of it, when a file has no
// `no-cache`, and when its tag is made of its size and date.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Fastify from "fastify";
import { fileIn, fileRoute } from "../src/routes/page.ts";
import { claim, makeEvent, openApp, OPERATOR } from "./support/app.ts";

test("no answer about a sale is kept by anybody, whatever it says", async (t) => {
  const opened = await openApp(t);
  const { app } = opened;
  const id = await makeEvent(opened, { limit: 1 });
  const ana = { "x-user-id": "ana" };
  const asked = [
    { url: "/events", status: 200 },
    { url: `/events/${id}`, status: 200 },
    { url: "/events/nothing", status: 404 },
    { url: "/nothing", status: 404 },
    { url: `/${"x".repeat(9_000)}`, status: 414 },
    { url: "/events?limit=0", status: 400 },
    { url: "/mechanisms", status: 200 },
    { url: `/events/${id}/issues/me`, status: 401 },
    { url: `/events/${id}/issues/me`, headers: ana, status: 200 },
    { url: `/events/${id}/issues`, headers: OPERATOR, status: 200 },
    { url: "/v1/events/nothing/issues", method: "POST", headers: ana, status: 404 },
    { url: `/v1/events/${id}/issues`, method: "POST", headers: ana, status: 201 },
    { url: `/v1/events/${id}/issues`, method: "POST", headers: ana, status: 200 },
    { url: `/v1/events/${id}/issues`, method: "POST", headers: { "x-user-id": "bo" }, status: 409 },
    { url: `/v2/events/${id}/issues`, method: "POST", headers: ana, status: 409 },
    { url: `/v1/events/${id}/issues`, method: "PUT", status: 405 },
    { url: `/events/${id}`, method: "PATCH", headers: OPERATOR, payload: {}, status: 400 },
    { url: "/healthz", status: 200 },
    { url: "/readyz", status: 200 },
    { url: "/metrics", status: 200 },
    { url: "/openapi.json", status: 200 },
  ] as const;
  for (const { status, ...request } of asked) {
    const answer = await app.inject(request);
    assert.equal(answer.statusCode, status, request.url);
    assert.equal(answer.headers["cache-control"], "no-store", `${status} of ${request.url}`);
  }
  const queued = await makeEvent(opened, { mechanism: "kafka-queue" });
  const ticket = await claim(opened, queued, "ana", "v3");
  assert.deepEqual([ticket.statusCode, ticket.headers["cache-control"]], [202, "no-store"]);
});

test("a stream is kept by nobody, and changed by no proxy", async (t) => {
  const opened = await openApp(t);
  const id = await makeEvent(opened);
  const url = await opened.app.listen({ host: "127.0.0.1", port: 0 });
  const ending = new AbortController();
  const answer = await fetch(`${url}/events/${id}/stream`, { signal: ending.signal });
  assert.equal(answer.headers.get("cache-control"), "no-store, no-transform");
  ending.abort();
});

test("every file of the pages is asked for again, and not sent again while it is the same", async (t) => {
  const { app } = await openApp(t);
  for (const url of ["/", "/index.html", "/app.js", "/app.css", "/icon.svg", "/desk.html"]) {
    const first = await app.inject({ url });
    assert.equal(first.headers["cache-control"], "no-cache", url);
    const tag = String(first.headers.etag);
    for (const known of [tag, `W/${tag}`, `"another", ${tag}`]) {
      const again = await app.inject({ url, headers: { "if-none-match": known } });
      assert.deepEqual([again.statusCode, again.body], [304, ""], known);
      assert.deepEqual([again.headers["cache-control"], again.headers.etag], ["no-cache", tag]);
    }
    const other = await app.inject({ url, headers: { "if-none-match": '"another"' } });
    assert.deepEqual([other.statusCode, other.body], [200, first.body]);
    const head = await app.inject({ url, method: "HEAD" });
    assert.deepEqual([head.statusCode, head.headers.etag, head.body], [200, tag, ""]);
  }
});

test("a file that was upgraded to one of its size and date has another tag", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "stampede-page-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const app = Fastify();
  t.after(() => app.close());
  fileRoute(app, "/one.js", fileIn(folder, "one.js"));
  const path = join(folder, "one.js");
  const tags: unknown[] = [];
  for (const content of ["export const a = 1;", "export const a = 2;"]) {
    writeFileSync(path, content);
    utimesSync(path, 1, 1);
    const answer = await app.inject({ url: "/one.js" });
    assert.deepEqual([answer.body, statSync(path).mtimeMs], [readFileSync(path, "utf8"), 1_000]);
    tags.push(answer.headers.etag);
  }
  assert.equal(new Set(tags).size, 2);
});
