import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { ok } from "@stampede/domain";
import { voidEvent } from "@stampede/domain";
import { memoryMechanisms } from "@stampede/domain/memory";
import { claim, makeEvent, openApp } from "./support/app.ts";
import type { TestApp } from "./support/app.ts";

const CHANGES_UNREAD = 100_000;

describe("addresses and methods", () => {
  test("answers 404 where there is nothing", async (t) => {
    const { app } = await openApp(t);
    for (const url of ["/nothing", "/v99/events/spring/issues", "/events/a/b/c", "/v1"]) {
      const answer = await app.inject({ url });
      assert.equal(answer.statusCode, 404, url);
      assert.equal(answer.json<{ type: string }>().type, "/problems/not-found");
    }
  });

  test("answers 405 with Allow where another method is meant", async (t) => {
    const { app } = await openApp(t);
    const cases = [
      ["DELETE", "/events", "GET, HEAD, POST"],
      ["GET", "/v1/events/spring/issues", "POST"],
      ["PUT", "/events/spring", "GET, HEAD, PATCH"],
      ["POST", "/events/spring/issues/me", "GET, HEAD"],
    ] as const;
    for (const [method, url, allow] of cases) {
      const answer = await app.inject({ method, url });
      assert.equal(answer.statusCode, 405, url);
      assert.equal(answer.headers.allow, allow);
    }
  });
});

describe("the date of an answer", () => {
  // Red when `registerAnswerHeaders` is gone: Node dates answers by this machine's clock.
  test("is told by the clock that judges windows, refusals and streams included", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    const address = await opened.app.listen({ host: "127.0.0.1", port: 0 });
    for (const laterMs of [0, 3_600_000, 1_000]) {
      opened.clock.nowMs += laterMs;
      const wanted = new Date(opened.clock.nowMs).toUTCString();
      for (const path of ["/healthz", "/nothing", `/events/${id}`, `/events/${id}/stream`]) {
        const ending = new AbortController();
        const answer = await fetch(`${address}${path}`, { signal: ending.signal });
        assert.equal(answer.headers.get("date"), wanted, path);
        ending.abort();
      }
    }
  });
});

describe("the routes for machines", () => {
  test("answer health, readiness, metrics and a description of every route", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    await claim(opened, id, "ana");
    const { app } = opened;
    assert.equal((await app.inject({ url: "/healthz" })).statusCode, 200);
    const ready = await app.inject({ url: "/readyz" });
    assert.deepEqual(ready.json(), { engines: { postgres: "up", redis: "up", kafka: "off" } });
    const metrics = (await app.inject({ url: "/metrics" })).body;
    assert.match(metrics, /stampede_claims_total\{mechanism="row-lock",outcome="issued"\} 1/);
    assert.match(metrics, /stampede_claim_duration_seconds_bucket/);
    type OpenApi = { openapi: string; paths: Record<string, object> };
    const description = (await app.inject({ url: "/openapi.json" })).json<OpenApi>();
    assert.match(description.openapi, /^3\.1/);
    for (const path of [
      "/events",
      "/events/{id}",
      "/events/{id}/issues",
      "/events/{id}/issues/me",
      "/events/{id}/stream",
      "/events/{id}/void",
      "/v1/events/{id}/issues",
      "/v2/events/{id}/issues",
      "/v3/events/{id}/issues",
      "/mechanisms",
      "/healthz",
      "/readyz",
      "/metrics",
      "/openapi.json",
    ]) {
      assert.ok(path in description.paths, path);
    }
  });

  test("tell which mechanisms there are, and what each needs", async (t) => {
    const opened = await openApp(t);
    const answer = await opened.app.inject({ url: "/mechanisms" });
    assert.equal(answer.statusCode, 200);
    const { mechanisms } = answer.json<{ mechanisms: readonly Record<string, unknown>[] }>();
    assert.deepEqual(
      mechanisms,
      memoryMechanisms.map(({ name, version, title, summary, needs }) => {
        return { name, version, title, summary, needs, available: true };
      }),
    );
  });

  test("answer 503 to readiness when no mechanism can take claims", async (t) => {
    const opened = await openApp(t);
    opened.isUp.all = false;
    assert.equal((await opened.app.inject({ url: "/readyz" })).statusCode, 503);
    const { mechanisms } = (await opened.app.inject({ url: "/mechanisms" })).json<{
      mechanisms: readonly { available: boolean }[];
    }>();
    assert.ok(mechanisms.every(({ available }) => !available));
  });

  test("serve the page with a policy that allows nothing from elsewhere and nothing inline", async (t) => {
    const { app } = await openApp(t);
    const page = await app.inject({ url: "/" });
    assert.equal(page.statusCode, 200);
    assert.match(String(page.headers["content-type"]), /^text\/html/);
    const policy = String(page.headers["content-security-policy"]);
    assert.match(policy, /default-src 'none'/);
    assert.ok(!policy.includes("unsafe"));
  });

  test("serve the desk's charts from the installed library, and nothing else of it", async (t) => {
    const { app } = await openApp(t);
    for (const file of ["uPlot.esm.js", "uPlot.min.css"]) {
      assert.equal((await app.inject({ url: `/vendor/uplot/${file}` })).statusCode, 200);
    }
    assert.equal((await app.inject({ url: "/vendor/uplot/uPlot.iife.js" })).statusCode, 404);
  });
});

describe("the stream", () => {
  test("sends the newest frame at once, and each change after it", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { mechanism: "kafka-queue", limit: 1 });
    const stream = await openStream(t, opened, id);
    await stream.until((text) => text.includes('"decided":0'));
    assert.match(stream.text(), /retry: \d+\n/);
    await claim(opened, id, "ana", "v3");
    opened.sale.decide(id);
    await stream.until((text) => text.includes('"state":"sold-out"'));
    assert.match(stream.text(), /"lastWinningTicket":0/);
    const ids = [...stream.text().matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
    assert.deepEqual(
      ids,
      [...new Set(ids)].sort((a, b) => a - b),
    );
  });

  test("tells that a line stands still, and that the shop ended it", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { mechanism: "kafka-queue", limit: 2 });
    await claim(opened, id, "ana", "v3");
    const stream = await openStream(t, opened, id);
    await stream.until((text) => text.includes("event: progress") && !text.includes("stalled"));
    opened.sale.halt(id);
    await stream.until((text) => text.includes('"stalled":true'));
    await voidEvent(opened.sale, { id, version: 1 });
    await stream.until((text) => text.includes('"lastWinningTicket":null,"voided":true'));
  });

  // N8, B47. Red when what a watcher has not read is kept without bound (`write` in stream.ts).
  test("drops a watcher who never reads", async (t) => {
    const opened = await openApp(t);
    const { app, sale } = opened;
    const id = await makeEvent(opened);
    const port = await listen(opened);
    const socket = connect(port, "127.0.0.1");
    t.after(() => socket.destroy());
    const isWatched = async (): Promise<boolean> =>
      /^stampede_streams 1$/m.test((await app.inject({ url: "/metrics" })).body);
    socket.write(`GET /events/${id}/stream HTTP/1.1\r\nHost: a\r\n\r\n`);
    await once(socket, "data", { signal: AbortSignal.timeout(5_000) });
    socket.pause();
    assert.ok(await isWatched());
    // Each change is a frame of about 150 bytes: in all more than the kernel keeps between the two.
    for (let version = 1; version < CHANGES_UNREAD; version += 1) {
      await sale.store.change(id, version, (event) => ok({ ...event, version: version + 1 }));
      if (version % 1_000 > 0) continue;
      await new Promise(setImmediate);
      if (!(await isWatched())) return;
    }
    assert.fail("a watcher who reads nothing is kept");
  });

  // N9. Red when `retryMs` in stream.ts gives everybody one time: all would come back at once.
  test("tells each stream a time of its own to come back", async (t) => {
    let drawn = 0;
    const opened = await openApp(t, { random: () => (drawn += 0.1) });
    const id = await makeEvent(opened);
    const url = `http://127.0.0.1:${await listen(opened)}/events/${id}/stream`;
    const times: (string | undefined)[] = [];
    for (let watcher = 0; watcher < 5; watcher += 1) {
      const { body } = await fetch(url, { signal: AbortSignal.timeout(5_000) });
      const first = await body?.getReader().read();
      times.push(
        /retry: (?<ms>\d+)/.exec(Buffer.from(first?.value ?? []).toString())?.groups?.["ms"],
      );
    }
    assert.equal(new Set(times).size, 5, times.join());
  });

  test("ends with a time to come back when the server closes", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened);
    const stream = await openStream(t, opened, id);
    await stream.until((text) => text.includes("progress"));
    await opened.app.close();
    await stream.until((text) => (text.match(/retry: /g)?.length ?? 0) === 2);
  });
});

describe("bytes that are not a request", () => {
  const cases: readonly [string, string, RegExp][] = [
    ["an unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", /^HTTP\/1.1 400 /],
    ["HTTP/0.9", "GET /\r\n\r\n", /^HTTP\/1.1 400 /],
    ["no host", "GET / HTTP/1.1\r\n\r\n", /^HTTP\/1.1 400 /],
    [
      "a length that is no number",
      "POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
      /^HTTP\/1.1 400 /,
    ],
    [
      "two lengths",
      "POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      /^HTTP\/1.1 400 /,
    ],
    [
      "a length beside chunks",
      "POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      /^HTTP\/1.1 400 /,
    ],
    ["a header with NUL", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", /^HTTP\/1.1 400 /],
    ["a folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", /^HTTP\/1.1 400 /],
    [
      "a header of 20 KiB",
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
      /^HTTP\/1.1 431 /,
    ],
    [
      "101 header lines",
      `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(100)}\r\n`,
      /^HTTP\/1.1 431 /,
    ],
    [
      "an address of 9 KiB",
      `GET /${"x".repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      /^HTTP\/1.1 414 /,
    ],
    ["the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^HTTP\/1.1 400 /],
  ];
  for (const [name, text, expected] of cases) {
    test(`get a problem as the answer, and the server lives: ${name}`, async (t) => {
      const opened = await openApp(t);
      const port = await listen(opened);
      const socket = connect(port, "127.0.0.1");
      t.after(() => socket.destroy());
      let answer = "";
      socket.setEncoding("utf8").on("data", (chunk) => {
        answer += chunk;
      });
      socket.write(text);
      const signal = AbortSignal.timeout(5_000);
      while (!answer.includes("}")) await once(socket, "data", { signal });
      assert.match(answer, expected);
      assert.match(answer, /application\/problem\+json/i);
      assert.equal((await opened.app.inject({ url: "/healthz" })).statusCode, 200);
    });
  }
});

async function listen({ app }: TestApp): Promise<number> {
  await app.listen({ port: 0, host: "127.0.0.1" });
  return (app.server.address() as AddressInfo).port;
}

type Stream = {
  readonly text: () => string;
  readonly until: (condition: (text: string) => boolean) => Promise<void>;
};

async function openStream(t: TestContext, opened: TestApp, id: string): Promise<Stream> {
  const port = await listen(opened);
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  let received = "";
  socket.setEncoding("utf8").on("data", (chunk) => {
    received += chunk;
  });
  socket.write(`GET /events/${id}/stream HTTP/1.1\r\nHost: a\r\n\r\n`);
  return {
    text: () => received,
    async until(condition) {
      const signal = AbortSignal.timeout(5_000);
      while (!condition(received)) await once(socket, "data", { signal });
    },
  };
}
