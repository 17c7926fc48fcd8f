// What streams may cost, on real sockets: N7's cap and N8's buffer (docs/guarantees.md). Frames come ten
// times a second at most, so with the real feed the kernel's buffers take minutes to fill; here a feed
// tells as fast as it can.
//
// Red when a watcher that does not read is kept (B47: `response.writableLength > unreadBytesMax` in
// routes/stream.ts), when one that reads is dropped, when the cap is not looked at, or when it does not
// count those whose event is still looked up (`opening`).
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { until } from "@stampede/domain/contracts";
import type { Progress, ProgressFeed } from "@stampede/domain";
import { inParts, STREAM_BOUNDS } from "../src/routes/stream.ts";
import { openApp } from "./support/app.ts";
import type { TestApp } from "./support/app.ts";

const DEAF = 100;
/** Few enough that one turn alone fills no bound. */
const FRAMES_A_TURN = 100;
/** 45 MB for each: Linux gives a connection of two ends 10 MB at most by default. */
const FRAMES_MAX = 400_000;
const WAIT_MS_MAX = 10_000;
const CAP = 10;

describe("a stream that nobody reads", () => {
  test(`is dropped: ${DEAF} of them beside one that is read`, async (t) => {
    const feed = hurriedFeed();
    const opened = await openListening(t, { feed });
    const reader = await openStream(t, opened);
    let received = "";
    reader.on("data", (chunk: Buffer) => {
      received = (received + chunk.toString()).slice(-1_000);
    });
    const deaf = await Promise.all(
      Array.from({ length: DEAF }, async () => (await openStream(t, opened)).pause()),
    );
    await until(() => feed.watching() === DEAF + 1, "all watch");
    const residentBytes = process.memoryUsage.rss();
    let frames = 0;
    while (feed.watching() > 1 && frames < FRAMES_MAX) {
      for (let n = 0; n < FRAMES_A_TURN; n += 1) feed.tell((frames += 1));
      // In step with the one who reads: the bound is for those who do not.
      await until(
        () => received.includes(`id: ${frames}\n`) || feed.watching() === 0,
        `frame ${frames} is read`,
        { pollMs: 0 },
      );
    }
    t.diagnostic(`${frames} frames until the last of them was dropped`);
    assert.equal(feed.watching(), 1, "the one that is read, and no other");
    const bytesEach = (process.memoryUsage.rss() - residentBytes) / DEAF;
    t.diagnostic(`${Math.round(bytesEach / 1_024)} KiB more for each`);
    // A client learns of it as soon as it reads again: no end of the stream, which would be a lie.
    const [one] = deaf;
    one!.resume();
    await once(one!, "close", { signal: AbortSignal.timeout(WAIT_MS_MAX) });
    feed.tell((frames += 1));
    await until(() => received.includes(`id: ${frames}\n`), "the last frame is read");
  });
});

// Red when all are written to at once, or somebody who stays is left out of a round.
describe("what keeps a stream open", () => {
  for (const count of [0, 1, 7, 1_000]) {
    test(`is written to ${count} watchers part by part, once a round to each`, () => {
      const all = new Set(Array.from({ length: count }, (_, n) => n));
      let taken: number[] = [];
      const takePart = inParts(all, 10, (one) => taken.push(one));
      for (let round = 0; round < 3; round += 1) {
        taken = [];
        for (let part = 1; part <= 10; part += 1) {
          takePart();
          assert.equal(taken.length, Math.ceil((count * part) / 10));
        }
        assert.deepEqual(new Set(taken), all);
        assert.equal(taken.length, count);
      }
    });
  }
});

describe("the cap of streams", () => {
  test("lets so many in and no more, also when all come at one instant", async (t) => {
    const known = Promise.withResolvers<void>();
    // Also where it fails: a server that closes waits for whoever is still looked up.
    t.after(() => known.resolve());
    const feed = hurriedFeed(known.promise);
    const streamBounds = { ...STREAM_BOUNDS, streamsMax: CAP };
    const opened = await openListening(t, { feed, streamBounds });
    const sockets = await Promise.all(
      Array.from({ length: 2 * CAP }, async () => openStream(t, opened)),
    );
    // All have come before the first of them learns whether there is such an event.
    let told = 0;
    const telling = Promise.all(
      sockets.map(async (socket) => headOf(socket).finally(() => (told += 1))),
    );
    await until(() => told === CAP, "those above the cap are told");
    known.resolve();
    const heads = await telling;
    const refused = heads.filter((head) => head.startsWith("HTTP/1.1 503 "));
    assert.equal(heads.filter((head) => head.startsWith("HTTP/1.1 200 ")).length, CAP);
    assert.equal(refused.length, CAP);
    for (const head of refused) {
      assert.match(head, /^retry-after: \d+$/im);
      assert.match(head, /"type":"\/problems\/unavailable"/);
    }
    assert.equal(feed.watching(), CAP);
    // A place is given again.
    sockets[heads.findIndex((head) => head.startsWith("HTTP/1.1 200 "))]!.destroy();
    await until(() => feed.watching() === CAP - 1, "one watcher is gone");
    assert.match(await headOf(await openStream(t, opened)), /^HTTP\/1.1 200 /);
  });

  test("is 20,000 streams and 64 KiB unless a test says otherwise", () => {
    assert.deepEqual(STREAM_BOUNDS, { streamsMax: 20_000, unreadBytesMax: 65_536 });
  });
});

type HurriedFeed = ProgressFeed & {
  readonly tell: (id: number) => void;
  readonly watching: () => number;
};

/** Knows every event once `known` has come, and tells all watchers whatever it is told to. */
function hurriedFeed(known: Promise<void> = Promise.resolve()): HurriedFeed {
  const watchers = new Set<(progress: Progress) => void>();
  const progressOf = (id: number): Progress => ({
    id,
    issued: 0,
    remaining: 1_000_000,
    state: "open",
    decided: null,
    perSecond: 0,
    lastWinningTicket: null,
    stalled: false,
    voided: false,
  });
  return {
    async watch(_eventId, onProgress) {
      await known;
      watchers.add(onProgress);
      onProgress(progressOf(0));
      return () => watchers.delete(onProgress);
    },
    tell(id) {
      const progress = progressOf(id);
      for (const watcher of watchers) watcher(progress);
    },
    watching: () => watchers.size,
  };
}

async function openListening(
  t: TestContext,
  options: Parameters<typeof openApp>[1],
): Promise<TestApp> {
  const opened = await openApp(t, options);
  await opened.app.listen({ port: 0, host: "127.0.0.1" });
  return opened;
}

async function openStream(t: TestContext, { app }: TestApp): Promise<Socket> {
  const socket = connect((app.server.address() as AddressInfo).port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  socket.write("GET /events/spring/stream HTTP/1.1\r\nHost: a\r\n\r\n");
  return socket;
}

/** What came first, with a problem's body behind it. */
async function headOf(socket: Socket): Promise<string> {
  const signal = AbortSignal.timeout(WAIT_MS_MAX);
  let received = "";
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString();
  });
  while (!/\r\n\r\n.*[}\n]/s.test(received)) await once(socket, "data", { signal });
  return received;
}
