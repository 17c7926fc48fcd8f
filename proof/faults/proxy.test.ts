// The fault proxy itself: what it says that it does to a connection, it does, at every cut of the
// stream into chunks. A fault that never happened would make every row behind it green.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import fc from "fast-check";
import { startProxy, until } from "@stampede/launcher/testing";
import type { FaultProxy, OpenReader } from "@stampede/launcher/testing";
import { readProduces } from "./support/proxy-kafka.ts";
import { readCommits } from "./support/proxy-postgres.ts";
import { readCommands } from "./support/proxy-redis.ts";

const PORTS = { engine: 9_092, proxy: 40_000 };

const commit = message("C", "COMMIT\0");
const postgresReplies = [
  message("C", "BEGIN\0"),
  message("2", ""),
  message("C", "UPDATE 3\0"),
  message("C", "COMMIT\0"),
  message("C", "BEGIN\0"),
  message("C", "UPDATE 0\0"),
  message("C", "COMMIT\0"),
  message("D", "COMMIT\0"),
  message("C", "ROLLBACK\0"),
];
const redisRequests = [
  "*2\r\n$7\r\nEVALSHA\r\n$1\r\nx\r\n",
  "*1\r\n$4\r\nPING\r\n",
  "*2\r\n$7\r\nevalsha\r\n$4\r\n\r\n*1\r\n",
  "*3\r\n$7\r\nEVALSHA\r\n$1\r\nx\r\n$1\r\n0\r\n",
];
const redisReplies = [
  "-NOSCRIPT No matching script\r\n",
  "+PONG\r\n",
  "*3\r\n:-1\r\n*1\r\n$-1\r\n$2\r\n\r\n\r\n",
  ":1\r\n",
];

describe("the readers of the fault proxy", () => {
  test("find COMMIT's reply, and whether its transaction wrote rows, however the bytes are cut", () => {
    const counted = [3, 6];
    everyCut(readCommits(), { requests: [], replies: postgresReplies, counted });
    everyCut(readCommits("after-write"), { requests: [], replies: postgresReplies, counted: [3] });
  });

  test("find EVALSHA's reply among others by their order, however the bytes are cut", () => {
    const requests = [...redisRequests, ...redisRequests].map((text) => Buffer.from(text));
    const replies = [...redisReplies, ...redisReplies].map((text) => Buffer.from(text));
    everyCut(readCommands(), { requests, replies, counted: [2, 6] });
    everyCut(readCommands("PING"), { requests, replies, counted: [1, 5] });
  });

  test("find Produce's reply by its correlation id, however the bytes are cut", () => {
    const requests = [kafkaRequest(0, 7), kafkaRequest(1, 8), kafkaRequest(0, 9)];
    const replies = [kafkaReply(8, "fetched"), kafkaReply(7, ""), kafkaReply(9, "ok")];
    everyCut(readProduces(), { requests, replies, counted: [1, 2] });
  });

  test("put the proxy in the broker's place in answers to Metadata and nowhere else", () => {
    const broker = (port: number): string => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(port);
      return `\x0a127.0.0.1${bytes.toString("latin1")}`;
    };
    const reader = readProduces()(PORTS);
    reader.request(Buffer.concat([kafkaRequest(3, 1), kafkaRequest(1, 2)]));
    const here = `a${broker(PORTS.engine)}b${broker(9_093)}c${broker(PORTS.engine)}`;
    const there = `a${broker(PORTS.proxy)}b${broker(9_093)}c${broker(PORTS.proxy)}`;
    const [metadata] = reader.reply(kafkaReply(1, here));
    const [fetched] = reader.reply(kafkaReply(2, here));
    assert.deepEqual(metadata?.bytes, kafkaReply(1, there));
    assert.deepEqual(fetched?.bytes, kafkaReply(2, here));
  });
});

describe("the fault proxy", () => {
  test("passes on what both sides say, and each one's end", async (t) => {
    const { client, received, sent } = await joined(t);
    client.end("ping");
    await once(client, "end");
    assert.equal(sent(), "ping");
    assert.equal(received(), "echo of ping");
  });

  test("cuts the reply asked for after the server has sent it, and delivers those before", async (t) => {
    const { proxy, client, received, sent, server } = await joined(t, readCommits());
    const trap = proxy.cutReply(2);
    const broken = once(client, "error");
    client.write("ping");
    await until(() => sent() === "ping", "the server got it");
    server().write(Buffer.concat([commit, message("Z", "I"), commit, message("Z", "I")]));
    await Promise.all([trap.sprung, broken]);
    assert.equal(received(), Buffer.concat([commit, message("Z", "I")]).toString());
    assert.equal(proxy.replies(), 2);
    await until(() => server().destroyed, "the server is told too");
  });

  test("cuts in the middle of the reply where it is told to", async (t) => {
    const { proxy, client, received, sent, server } = await joined(t, readCommits());
    const trap = proxy.cutReply(1, 3);
    const broken = once(client, "error");
    client.write("x");
    await until(() => sent() === "x", "the server got it");
    server().write(commit);
    await Promise.all([trap.sprung, broken]);
    assert.equal(received(), commit.subarray(0, 3).toString());
  });

  test("holds the reply asked for until it is released", async (t) => {
    const { proxy, client, received, sent, server } = await joined(t, readCommits());
    const trap = proxy.holdReply(1);
    client.write("x");
    await until(() => sent() === "x", "the server got it");
    server().write(Buffer.concat([message("2", ""), commit, message("Z", "I")]));
    await trap.sprung;
    await until(() => received() === message("2", "").toString(), "what came before it");
    await assert.rejects(once(client, "data", { signal: AbortSignal.timeout(100) }));
    trap.release();
    await until(() => received().endsWith("Z\0\0\0\x05I"), "all is delivered");
  });

  test("keeps everything in a black hole, ends and new connections too, and lets it go on after", async (t) => {
    const { proxy, client, received, sent, server } = await joined(t);
    proxy.set({ blackhole: true });
    client.write("a");
    const late = await dial(t, proxy);
    late.socket.end("b");
    server().write("news");
    // Longer than any of it takes on a clear link; the test above would fail on a slower one.
    await assert.rejects(once(client, "data", { signal: AbortSignal.timeout(150) }));
    assert.equal(sent(), "");
    proxy.heal();
    await until(() => received() === "newsecho of a", "the old connection goes on");
    await until(() => late.received() === "echo of b", "the new one is served");
  });

  test("delays, slices and slows what goes through", async (t) => {
    const { proxy, client, received } = await joined(t);
    proxy.set({ latencyMs: 60, jitterMs: 20, sliceBytesMax: 1 });
    const startMs = performance.now();
    client.write("slow");
    await until(() => received() === "echo of slow", "the echo");
    assert.ok(performance.now() - startMs >= 80, "twice at least 40 ms");
    proxy.heal();
    proxy.set({ bytesPerSecondMax: 2_000 });
    const slowMs = performance.now();
    client.write("x".repeat(200));
    await until(() => received().length === 12 + 200, "the long echo");
    assert.ok(performance.now() - slowMs >= 80, "200 bytes at 2,000 a second, but the last piece");
  });

  test("leads connections elsewhere from when it is told to, and lets the others be", async (t) => {
    const { proxy, client, received } = await joined(t);
    const other = createServer((socket) => void socket.end("elsewhere"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    t.after(() => other.close());
    const address = other.address();
    proxy.pointTo(typeof address === "object" ? address!.port : 0);
    const later = await dial(t, proxy);
    await until(() => later.received() === "elsewhere", "the other server speaks");
    client.write("here");
    await until(() => received() === "echo of here", "the connection that stood goes on");
  });

  test("resets connections, all at once or a share of the replies", async (t) => {
    const { proxy, client, server } = await joined(t);
    client.write("x");
    await until(() => server() !== undefined, "the server knows it");
    const broken = once(client, "error");
    assert.equal(proxy.resetAll(), 1);
    await broken;
    await until(() => server().destroyed, "the server is told too");
    proxy.set({ resetShare: 1 });
    const { socket } = await dial(t, proxy);
    const again = once(socket, "error");
    socket.write("x");
    await again;
  });
});

type Stream = {
  readonly requests: readonly Buffer[];
  readonly replies: readonly Buffer[];
  /** Which of the replies count. */
  readonly counted: readonly number[];
};

/** All requests first, then all replies, each cut at random places: always the same replies. */
function everyCut(open: OpenReader, { requests, replies, counted }: Stream): void {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }), (sizes) => {
      const reader = open(PORTS);
      for (const chunk of cut(Buffer.concat(requests), sizes)) reader.request(chunk);
      const read = cut(Buffer.concat(replies), sizes).flatMap((chunk) => [...reader.reply(chunk)]);
      assert.deepEqual(
        read,
        replies.map((bytes, index) => ({ bytes, counts: counted.includes(index) })),
      );
    }),
    { numRuns: 200 },
  );
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = sizes[chunks.length % sizes.length]!;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

function message(kind: string, content: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(kind, "latin1");
  head.writeUInt32BE(4 + content.length, 1);
  return Buffer.concat([head, Buffer.from(content, "latin1")]);
}

function kafkaRequest(apiKey: number, correlation: number): Buffer {
  const frame = Buffer.alloc(20);
  frame.writeInt32BE(frame.length - 4);
  frame.writeInt16BE(apiKey, 4);
  frame.writeInt32BE(correlation, 8);
  return frame;
}

function kafkaReply(correlation: number, content: string): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + content.length);
  head.writeInt32BE(correlation, 4);
  return Buffer.concat([head, Buffer.from(content, "latin1")]);
}

type Joined = {
  readonly proxy: FaultProxy;
  readonly client: Socket;
  readonly received: () => string;
  readonly sent: () => string;
  /** The server's side of the last connection. */
  readonly server: () => Socket;
};

/** A server that echoes, the proxy before it, and one connection through both. */
async function joined(t: TestContext, reader?: OpenReader): Promise<Joined> {
  let sent = "";
  let last: Socket | undefined;
  const echo = createServer((socket) => {
    last = socket;
    let greeting = "echo of ";
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      sent += chunk.toString();
      // What a reader looks into has to follow its protocol; such tests let the server speak.
      if (reader === undefined) socket.write(greeting + chunk.toString());
      greeting = "";
    });
  });
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  t.after(() => echo.close());
  const address = echo.address();
  const port = typeof address === "object" ? address!.port : 0;
  const proxy = await startProxy(t, reader === undefined ? { port } : { port, reader });
  const { socket: client, received } = await dial(t, proxy);
  await until(() => last !== undefined, "the server is reached");
  return { proxy, client, received, sent: () => sent, server: () => last! };
}

async function dial(
  t: TestContext,
  { port }: FaultProxy,
): Promise<{ readonly socket: Socket; readonly received: () => string }> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = "";
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  t.after(() => socket.destroy());
  return { socket, received: () => received };
}
