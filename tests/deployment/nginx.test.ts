// What deploy/nginx/nginx.conf promises, tried on the real nginx in front of two servers that
// misbehave. Red when `non_idempotent` is added, when proxy_next_upstream is "off", when the upstream's
// `keepalive` is taken away, when X-Forwarded-For is added to, or when `proxy_pass_header Date` goes.
// (The frame passes at once even without `proxy_buffering off`, which is there for clients that do not
// read.)
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import { freePort } from "@stampede/launcher";
import { claim, door, issue } from "./nginx-doors.ts";
import { nginxMissing, startNginx } from "./own-nginx.ts";

const skip = nginxMissing;
const claims = 20;

test("a claim goes to the other process where one does not listen", { skip }, async (t) => {
  const app = await door(t, issue);
  const url = await startNginx(t, { app: app.address, api2: `127.0.0.1:${await freePort()}` });
  for (let person = 0; person < claims; person += 1) {
    const answer = await claim(url, `p-${person}`);
    assert.equal(answer.status, 201, await answer.text());
  }
  assert.equal(new Set(app.people).size, claims);
  assert.equal(app.people.length, claims);
});

test(
  "a claim that was sent is never sent again; its person is told where to ask",
  { skip },
  async (t) => {
    // The request has arrived, and the answer is lost.
    const app = await door(t, (request) => request.socket.destroy());
    const api2 = await door(t, issue);
    const url = await startNginx(t, { app: app.address, api2: api2.address });
    const lost: string[] = [];
    for (let person = 0; person < claims; person += 1) {
      const answer = await claim(url, `p-${person}`);
      const body: Record<string, unknown> = JSON.parse(await answer.text());
      if (answer.status === 201) continue;
      lost.push(`p-${person}`);
      assert.equal(answer.status, 503);
      assert.match(String(answer.headers.get("content-type")), /^application\/problem\+json/);
      assert.equal(answer.headers.get("retry-after"), "1");
      assert.equal(body["type"], "/problems/outcome-unknown");
      assert.equal(body["statusUrl"], "/events/spring/issues/me");
    }
    assert.ok(lost.length > 0, "no claim was lost, so nothing was tried");
    assert.deepEqual(app.people, lost);
    assert.equal(api2.people.length, claims - lost.length);
    assert.deepEqual(
      api2.people.filter((person) => lost.includes(person)),
      [],
    );
  },
);

test("a lost claim on any version's path is told where to ask", { skip }, async (t) => {
  const app = await door(t, (request) => request.socket.destroy());
  const url = await startNginx(t, { app: app.address, api2: app.address });
  for (const version of ["v1", "v4", "v12"]) {
    const answer = await claim(url, "ana", version);
    const body: Record<string, unknown> = JSON.parse(await answer.text());
    assert.equal(body["statusUrl"], "/events/spring/issues/me", version);
  }
});

test("a question that was lost is asked at the other process", { skip }, async (t) => {
  const app = await door(t, (request) => request.socket.destroy());
  const api2 = await door(t, issue);
  const url = await startNginx(t, { app: app.address, api2: api2.address });
  for (let question = 0; question < 4; question += 1) {
    const answer = await fetch(`${url}/events/spring/issues/me`);
    assert.equal(answer.status, 201, await answer.text());
  }
  assert.equal(api2.requests.length, 4);
});

test("connections to the processes are used again", { skip }, async (t) => {
  const app = await door(t, issue);
  const url = await startNginx(t, { app: app.address, api2: app.address });
  for (let person = 0; person < claims; person += 1) {
    const answer = await claim(url, `p-${person}`);
    await answer.text();
  }
  assert.equal(app.people.length, claims);
  // Two workers of nginx at least, each with its own.
  assert.ok(
    app.connections() < claims / 2,
    `${app.connections()} connections for ${claims} claims`,
  );
});

test("a frame of the stream passes while the next one is not written", { skip }, async (t) => {
  let release: () => void = () => undefined;
  const app = await door(t, (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
    release = () => response.end("data: 2\n\n");
  });
  const url = await startNginx(t, { app: app.address, api2: app.address });
  const answer = await fetch(`${url}/events/spring/stream`, {
    signal: AbortSignal.timeout(10_000),
  });
  const frames = answer.body!.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  assert.equal((await frames.next()).value, "data: 1\n\n");
  release();
  assert.equal((await frames.next()).value, "data: 2\n\n");
  assert.equal((await frames.next()).done, true);
});

test("the service sees who asked whom, and what is too large for it", { skip }, async (t) => {
  const app = await door(t, issue);
  const url = await startNginx(t, { app: app.address, api2: app.address });
  await fetch(`${url}/events`, {
    method: "POST",
    headers: { "x-forwarded-for": "192.0.2.1", "x-user-id": "ana" },
    body: "x".repeat(17 * 1024),
  });
  const [{ headers }] = app.requests as [IncomingMessage];
  assert.equal(headers["x-forwarded-for"], "127.0.0.1");
  assert.equal(headers["x-forwarded-proto"], "http");
  assert.equal(headers["host"], new URL(url).host);
  assert.equal(headers["x-user-id"], "ana");
  assert.equal(headers["content-length"], String(17 * 1024));
});

test("the metrics of one process by chance are not served", { skip }, async (t) => {
  const app = await door(t, issue);
  const url = await startNginx(t, { app: app.address, api2: app.address });
  const answer = await fetch(`${url}/metrics`);
  assert.equal(answer.status, 404);
  assert.match(await answer.text(), /"type":"\/problems\/not-found"/);
  assert.equal(app.requests.length, 0);
});
