// N9: a thousand streams of three sales are cut at one instant, in mid-sale. Their readers do what
// browsers do: they come back after the `retry:` that they were told and name the last frame they
// had. The first frame that they get is the newest there is, their returns are spread, and ten seconds
// after the sales are over all of them have seen the end.
//
// Red when all are told the same `retry:` (`random()` in `retryMs`, api/src/routes/stream.ts), or
// when somebody who returns is not told the last frame at once (`watch` in rows/progress-feed.ts).
import assert from "node:assert/strict";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { startProxy, until } from "@stampede/launcher/testing";
import type { FaultProxy } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { marksOfAllCases } from "../marks.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { claimUntilAnswered, openSale, people, readStored } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";
import { counted } from "../support/service-state.ts";

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

export const cutStreamsCase: FaultCase = {
  id: "N9",
  mechanisms: MECHANISMS,
  injects: `a reset of ${STREAMS} streams at one instant, in mid-sale`,
  holds: "all come back spread over seconds, to the newest frame, and see the end",
  runs: "all",
  expects: [marksOfAllCases.streamResumed],
  place: "shared",
  // No stream of a case before may be counted.
  fresh: true,
  async run(stage) {
    const { program } = stage.at;
    const proxy = await startProxy(stage.t, { port: Number(new URL(program.url).port) });
    const watched = await Promise.all(
      stage.mechanisms.map(async (mechanism) => {
        const sale = await openSale(program, { mechanism, limit: LIMIT });
        return { sale, room: new Room(stage.t, sale, proxy) };
      }),
    );
    for (let n = 0; n < STREAMS; n += 1) watched[n % watched.length]!.room.enter();
    const readers = watched.flatMap(({ room }) => room.readers);
    await until(() => readers.every(({ frames }) => frames.length > 0), "everybody's first frame");
    const claims = watched.map(async ({ sale }) =>
      claimUntilAnswered(sale, people(PEOPLE), { spreadMs: SPREAD_MS, deadlineMs: 20_000 }),
    );
    const allIssued = async (least: number): Promise<boolean> =>
      (await Promise.all(watched.map(async ({ sale }) => readStored(sale)))).every(
        ({ issued }) => issued >= least,
      );
    const cutAt = stage.pick(ISSUED_BEFORE.from, ISSUED_BEFORE.to);
    await until(async () => allIssued(cutAt), "all sales are under way");
    happened(proxy.resetAll() === STREAMS, "not all streams were there to be cut");
    const cutMs = performance.now();
    for (const { sale, room } of watched) {
      stage.notes(sale.mechanism).injected(room.readers.length);
    }
    const told = await Promise.all(claims);
    await until(async () => allIssued(LIMIT), "all sales are over");
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
    for (const [n, { sale, room }] of watched.entries()) {
      const notes = stage.notes(sale.mechanism);
      notes.recovered("L6", lastFrameMs);
      assertResumed(room, notes);
      await finish(stage, sale, told[n]!);
    }
  },
};

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

function assertResumed({ readers }: Room, { met }: Pick<Stage, "met">): void {
  for (const { frames, returned } of readers) {
    assert.ok(returned !== null, "a stream that was cut came back");
    const [first, ...later] = returned.frames;
    assert.ok(first !== undefined && first.id >= returned.newestId, "the newest frame comes first");
    for (const all of [frames, returned.frames]) assertOrder(all);
    assert.equal((later.at(-1) ?? first).issued, LIMIT);
    met(marksOfAllCases.streamResumed);
  }
}

function assertOrder(frames: readonly Frame[]): void {
  for (const [n, frame] of frames.slice(1).entries()) {
    const [before, after] = [frames[n]!, frame].map(({ id, issued }) => ({ id, issued }));
    const goesOn = after!.id > before!.id && after!.issued >= before!.issued;
    assert.ok(goesOn, `${JSON.stringify(after)} follows ${JSON.stringify(before)}`);
  }
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

  constructor(t: Stage["t"], sale: Sale, proxy: FaultProxy) {
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
    // That it breaks is what this case is about; "close" follows.
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
