// N9: a thousand streams of three sales are cut at one instant, in mid-sale. Their readers do what
// browsers do: they come back after the `retry:` that they were told and name the last frame they
// had. The first frame that they get is the newest there is, their returns are spread, and ten seconds
// after the sales are over all of them have seen the end.
//
// Red when all are told the same `retry:` (`random()` in `retryMs`, api/src/routes/stream.ts), or
// when somebody who returns is not told the last frame at once (`watch` in postgres/progress-feed.ts).
import assert from "node:assert/strict";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startProgram } from "../support/program.ts";
import { startProxy } from "./support/proxy.ts";
import type { FaultProxy } from "./support/proxy.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import {
  askEverybody,
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  readStored,
  unsettled,
  until,
  verdict,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";
import { counted } from "./support/service-state.ts";

const STREAMS = 1_000;
const PEOPLE = 200;
const LIMIT = 150;
/** The crowd comes over the time in which readers are away, so that what they missed is much. */
const SPREAD_MS = 3_500;
const ISSUED_BEFORE = { from: 10, to: 60 };
const LAST_FRAME_MS_MAX = 10_000;
/** What README and the page are told: one second, and up to four more. */
const RETRY_MS = { from: 1_000, to: 5_000 };
const WINDOW_MS = 250;
/** An even return brings a sixteenth in each window; a burst would bring most. */
const WINDOW_SHARE_MAX = 3 / 16;

test(`${STREAMS} streams are cut at once`, { skip: engineMissing }, async (t) => {
  const fault = `a reset of ${STREAMS} streams at one instant, in mid-sale`;
  const rows = MECHANISMS.map((mechanism) =>
    faultRow(t, { row: "N9", mechanism, fault, expects: ["stream resumed"] }),
  );
  const program = await startProgram(t);
  const proxy = await startProxy(t, { port: Number(new URL(program.url).port) });
  const watched = await Promise.all(
    MECHANISMS.map(async (mechanism, n) => {
      const sale = await openSale(program, { mechanism, limit: LIMIT });
      return { row: rows[n]!, sale, room: new Room(t, sale, proxy) };
    }),
  );
  for (let n = 0; n < STREAMS; n += 1) watched[n % watched.length]!.room.enter();
  const readers = watched.flatMap(({ room }) => room.readers);
  await until(() => readers.every(({ frames }) => frames.length > 0), "everybody's first frame");

  const claims = watched.map(async ({ sale }) =>
    claimUntilAnswered(sale, people(PEOPLE), { spreadMs: SPREAD_MS, deadlineMs: 20_000 }),
  );
  const cutAt = rows[0]!.pick(ISSUED_BEFORE.from, ISSUED_BEFORE.to);
  await until(async () => {
    const stored = await Promise.all(watched.map(async ({ sale }) => readStored(sale)));
    return stored.every(({ issued }) => issued >= cutAt);
  }, "all sales are under way");
  assert.equal(proxy.resetAll(), STREAMS);
  const cutMs = performance.now();
  for (const { row, room } of watched) row.injected(room.readers.length);

  const told = await Promise.all(claims);
  await until(async () => {
    const stored = await Promise.all(watched.map(async ({ sale }) => readStored(sale)));
    return stored.every(({ issued }) => issued === LIMIT);
  }, "all sales are over");
  // There is no last frame before that.
  const overMs = performance.now();
  await until(() => readers.every((reader) => reader.hasSeenTheEnd()), "everybody sees the end");
  const lastFrameMs = performance.now() - overMs;
  assert.ok(lastFrameMs <= LAST_FRAME_MS_MAX, `L6: ${Math.round(lastFrameMs)} ms`);
  assertSpread(readers, cutMs);
  await until(
    async () => (await counted(program, "stampede_streams")) === STREAMS,
    "the service has forgotten the streams that were cut",
  );
  for (const [n, { row, sale, room }] of watched.entries()) {
    row.recovered("L6", Math.round(lastFrameMs));
    assertResumed(room, row);
    await judge(sale, row, told[n]!);
  }
});

/** Nobody was told the time of all others, and nobody's return was everybody's. */
function assertSpread(readers: readonly Reader[], cutMs: number): void {
  const waits = readers.map(({ waitedMs }) => waitedMs);
  assert.ok(waits.every((ms) => ms >= RETRY_MS.from && ms < RETRY_MS.to));
  assert.ok(new Set(waits).size > readers.length / 2, "`retry:` differs from reader to reader");
  const windows = new Map<number, number>();
  for (const { returnedMs } of readers) {
    const window = Math.floor((returnedMs - cutMs) / WINDOW_MS);
    windows.set(window, (windows.get(window) ?? 0) + 1);
  }
  const most = Math.max(...windows.values());
  assert.ok(most <= readers.length * WINDOW_SHARE_MAX, `${most} came back within ${WINDOW_MS} ms`);
}

function assertResumed({ readers }: Room, row: Row): void {
  for (const { frames, returned } of readers) {
    assert.ok(returned !== null, "a stream that was cut came back");
    const [first, ...later] = returned.frames;
    assert.ok(first !== undefined && first.id >= returned.newestId, "the newest frame comes first");
    for (const all of [frames, returned.frames]) assertOrder(all);
    assert.equal((later.at(-1) ?? first).issued, LIMIT);
    row.met("stream resumed");
  }
}

function assertOrder(frames: readonly Frame[]): void {
  for (const [n, frame] of frames.slice(1).entries()) {
    const [before, after] = [frames[n]!, frame].map(({ id, issued }) => ({ id, issued }));
    const goesOn = after!.id > before!.id && after!.issued >= before!.issued;
    assert.ok(goesOn, `${JSON.stringify(after)} follows ${JSON.stringify(before)}`);
  }
}

async function judge(
  sale: Sale,
  row: Row,
  told: Awaited<ReturnType<typeof claimUntilAnswered>>,
): Promise<void> {
  const asked = await askEverybody(sale, told);
  assert.deepEqual(unsettled(asked), [], sale.mechanism);
  const { violations, stored } = await verdict(sale, [...told, ...asked]);
  row.judged([...told, ...asked], violations.length);
  assert.deepEqual(violations, [], sale.mechanism);
  assert.equal(stored.rows.length, LIMIT);
}

type Frame = { readonly id: number; readonly issued: number; readonly state: string };

/** Those who watch one sale. */
class Room {
  readonly readers: Reader[] = [];
  readonly sale: Sale;
  readonly port: number;
  /** Of all frames that anybody here has seen. */
  newestId = 0;
  readonly #sockets = new Set<Socket>();
  readonly #ending = new AbortController();

  constructor(t: TestContext, sale: Sale, proxy: FaultProxy) {
    this.sale = sale;
    this.port = proxy.port;
    t.after(() => {
      this.#ending.abort();
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  enter(): void {
    this.readers.push(new Reader(this));
  }

  /** Resolves when the connection has ended, however it did. */
  async read(lastId: number | null, onLine: (line: string) => void): Promise<void> {
    if (this.#ending.signal.aborted) return;
    const { eventId, target } = this.sale;
    const socket = connect(this.port, target.address);
    this.#sockets.add(socket);
    const resume = lastId === null ? "" : `Last-Event-ID: ${lastId}\r\n`;
    // HTTP/1.0, so that the text is not cut into chunks.
    const head = `GET /events/${eventId}/stream HTTP/1.0\r\nHost: ${target.authority}\r\n${resume}`;
    socket.write(`${head}\r\n`);
    let rest = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line);
    });
    // That it breaks is what this test is about; "close" follows.
    socket.on("error", () => undefined);
    await new Promise<void>((resolve) => void socket.once("close", () => resolve()));
    this.#sockets.delete(socket);
  }

  async wait(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#ending.signal }).catch(() => undefined);
  }
}

/** Does with a stream what a browser's EventSource does, for one reconnection. */
class Reader {
  /** Of the first connection. */
  readonly frames: Frame[] = [];
  returned: { readonly frames: Frame[]; readonly newestId: number } | null = null;
  /** What it was told to wait, and did. */
  waitedMs = 0;
  returnedMs = 0;
  readonly #room: Room;

  constructor(room: Room) {
    this.#room = room;
    void this.#watch();
  }

  hasSeenTheEnd(): boolean {
    return this.returned?.frames.at(-1)?.state === "sold-out";
  }

  async #watch(): Promise<void> {
    const room = this.#room;
    await room.read(null, this.#listener(this.frames));
    await room.wait(this.waitedMs);
    this.returnedMs = performance.now();
    this.returned = { frames: [], newestId: room.newestId };
    await room.read(this.frames.at(-1)?.id ?? null, this.#listener(this.returned.frames, false));
  }

  #listener(frames: Frame[], takesRetry = true): (line: string) => void {
    let id = 0;
    return (line) => {
      const [, field, value] = /^(id|data|retry): (.*)$/.exec(line) ?? [];
      if (field === "retry" && takesRetry) this.waitedMs = Number(value);
      if (field === "id") id = Number(value);
      if (field !== "data" || value === undefined) return;
      frames.push({ ...JSON.parse(value), id });
      this.#room.newestId = Math.max(this.#room.newestId, id);
    };
  }
}
