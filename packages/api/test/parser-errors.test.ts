// Bytes on a connection that are no request, or none that Node or the framework would answer as we do.
//
// Red when `answerParserError` writes at once (`response.once("close", ...)`), and when one of `connect`,
// `checkExpectation`, `frameworkErrors`, the transfer coding or `strictJson` is left to them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { memorySale } from "@stampede/domain/memory";
import type { CouponIssuer } from "@stampede/domain";
import { listen } from "../src/listening.ts";
import { drain } from "../src/shutdown.ts";
import { ADMIN_TOKEN, makeEvent, openApp } from "./support/app.ts";
import type { TestApp } from "./support/app.ts";

const ANSWER_MS_MAX = 5_000;
const GARBAGE = "MARK\r\n\r\n";
const H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n";
/** The addresses of localhost. The second one has no server of its own: see listening.ts. */
const FAMILIES = Object.values(networkInterfaces())
  .flatMap((addresses = []) => addresses.map(({ address }) => address))
  .filter((address) => address === "127.0.0.1" || address === "::1")
  .toSorted();

for (const address of FAMILIES) {
  describe(`bytes behind a request that is still worked on, at ${address}`, () => {
    for (const [title, behind] of [
      ["garbage", GARBAGE],
      ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"],
      ["a claim with a bad chunk", `${claimOf("held")}Transfer-Encoding: chunked\r\n\r\nMARK\r\n`],
    ] as const) {
      test(`a claim is told its own answer first: ${title}`, async (t) => {
        const gate = Promise.withResolvers<void>();
        const arrived = Promise.withResolvers<void>();
        const opened = await openApp(t, { issuers: { "row-lock": held(gate.promise, arrived) } });
        const id = await makeEvent(opened, { id: "held" });
        const bytes = `${claimOf(id)}Content-Length: 0\r\n\r\n${behind}`;
        const connection = await send(t, opened, bytes, address);
        await arrived.promise;
        // A turn of the server's loop, in which it could have answered what stands behind.
        await opened.app.inject({ url: "/healthz" });
        assert.equal(connection.text(), "");
        gate.resolve();
        const [first, second, ...rest] = statusesOf(await connection.closed());
        assert.equal(first, 409);
        assert.ok(second === 400 || second === 405);
        assert.deepEqual(rest, []);
      });
    }

    test("a stream is cut instead of getting an answer in its middle", async (t) => {
      const opened = await openApp(t);
      const id = await makeEvent(opened);
      const head = `GET /events/${id}/stream HTTP/1.1\r\nHost: a\r\n\r\n`;
      const connection = await send(t, opened, head, address);
      await connection.until("progress");
      connection.write(GARBAGE);
      assert.deepEqual(statusesOf(await connection.closed()), [200]);
    });

    test("who was refused before the body hears nothing else of a bad body", async (t) => {
      const opened = await openApp(t);
      const head =
        "POST /v1/events/a/issues HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
      const connection = await send(t, opened, `${head}MARK\r\n`, address);
      assert.deepEqual(statusesOf(await connection.closed()), [401]);
    });
  });

  describe(`what Node and the framework would answer in their own words, at ${address}`, () => {
    for (const [title, status, text] of [
      ["CONNECT", 405, "CONNECT MARK:80 HTTP/1.1\r\nHost: a\r\n\r\n"],
      ["an unknown Expect", 417, `${claimOf("a")}Expect: MARK\r\nContent-Length: 0\r\n\r\n`],
      ["an address that cannot be decoded", 400, "GET /MARK/%zz HTTP/1.1\r\nHost: a\r\n\r\n"],
      ["a request line of HTTP/2", 400, "GET /events HTTP/2.0\r\nHost: a\r\n\r\n"],
      ["an upgrade to HTTP/2", 404, `GET /MARK HTTP/1.1\r\nHost: a\r\n${H2C}\r\n`],
      [
        "a transfer coding that is not undone",
        400,
        `${claimOf("a")}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      ],
      [
        "chunks in HTTP/1.0",
        400,
        "POST /events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      ],
    ] as const) {
      test(`is a problem of ours: ${title}`, async (t) => {
        const connection = await send(t, await openApp(t), text, address);
        await connection.until("}");
        assert.deepEqual(statusesOf(connection.text()), [status]);
        assert.match(connection.text(), /application\/problem\+json/i);
        assert.ok(!connection.text().includes("MARK"));
      });
    }

    test("half a character in an operator's JSON is refused, not replaced", async (t) => {
      const { app } = await openApp(t);
      // Three bytes of four: as long as the U+FFFD that a kinder decoder makes of them.
      const name = Buffer.from([0xf0, 0x9f, 0x8c]);
      const answer = await app.inject({
        method: "POST",
        url: "/events",
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
        payload: Buffer.concat([
          Buffer.from('{"mechanism":"row-lock","limit":1,"name":"'),
          name,
          Buffer.from('"}'),
        ]),
      });
      assert.equal(answer.statusCode, 400);
      assert.equal(answer.json<{ detail: string }>().detail, "The body is not UTF-8.");
    });
  });

  test(`a shutdown waits for the answer at ${address}, and ends`, async (t) => {
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const opened = await openApp(t, { issuers: { "row-lock": held(gate.promise, arrived) } });
    const id = await makeEvent(opened, { id: "held" });
    const bytes = `${claimOf(id)}Content-Length: 0\r\n\r\n`;
    const connection = await send(t, opened, bytes, address);
    const idle = await send(t, opened, "", address);
    await arrived.promise;
    const draining = drain(opened.app, () => undefined);
    while (opened.app.server.listening) await pause(20);
    gate.resolve();
    await connection.until("}");
    await draining;
    assert.deepEqual(statusesOf(await connection.closed()), [409]);
    assert.equal(await idle.closed(), "");
  });
}

function claimOf(eventId: string): string {
  return `POST /v1/events/${eventId}/issues HTTP/1.1\r\nHost: a\r\nX-User-Id: ana\r\n`;
}

/** Sold out, as soon as the gate opens. */
function held(gate: Promise<void>, arrived: PromiseWithResolvers<void>): CouponIssuer {
  const { issuerOf } = memorySale({ nowMs: () => 0, drawCode: () => "" });
  return {
    ...issuerOf("row-lock"),
    async claim() {
      arrived.resolve();
      await gate;
      return { kind: "refused", refusal: { kind: "sold-out" } };
    },
  };
}

type RawConnection = {
  readonly text: () => string;
  readonly write: (text: string) => void;
  readonly until: (part: string) => Promise<void>;
  /** All that came until the server closed. */
  readonly closed: () => Promise<string>;
};

async function send(
  t: TestContext,
  { app }: TestApp,
  text: string,
  address = FAMILIES[0],
): Promise<RawConnection> {
  if (!app.server.listening) {
    await listen(app, { port: 0, host: "localhost", shared: false }, FAMILIES);
  }
  const socket = connect((app.server.address() as AddressInfo).port, address);
  t.after(() => socket.destroy());
  let received = "";
  socket.on("error", () => undefined);
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  const closed = once(socket, "close", { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  closed.catch(() => undefined);
  socket.write(text);
  return {
    text: () => received,
    write: (more) => void socket.write(more),
    async until(part) {
      const signal = AbortSignal.timeout(ANSWER_MS_MAX);
      while (!received.includes(part)) await once(socket, "data", { signal });
    },
    async closed() {
      await closed;
      return received;
    },
  };
}

function statusesOf(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
}
