import { request, type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

import type { Target } from "./connection.ts";

/** What the stream says of an event. */
export type Frame = {
  readonly issued: number;
  readonly remaining: number;
  readonly state: string;
  readonly decided: number | null;
  readonly lastWinningTicket: number | null;
};

type SeenFrame = { readonly text: string; readonly frame: Frame; readonly firstSeenMs: number };

type Watcher = { last: SeenFrame | null; lastId: string; reconnects: number };

/** People who watch an event's stream during a sale. */
export type Watchers = {
  /** When the first watcher got a frame of that kind, on the monotonic clock; null: never so far. */
  readonly firstSeenMs: (matches: (frame: Frame) => boolean) => number | null;
  /** The newest frame that anybody got. */
  readonly newest: () => Frame | null;
  /** How many have such a frame as their newest. */
  readonly count: (matches: (frame: Frame) => boolean) => number;
  /** How often a stream ended and was opened again. */
  readonly reconnects: () => number;
  readonly close: () => void;
};

const waveSize = 200;
const firstFrameMsMax = 20_000;
const reconnectsMax = 5;
const reconnectPauseMs = 250;
const pollMs = 20;
const frameBytesMax = 16 * 1024;

/** Opens the streams and waits until each has its first frame. */
export async function watch(target: Target, eventId: string, count: number): Promise<Watchers> {
  const frames: SeenFrame[] = [];
  const watchers: Watcher[] = [];
  const abort = new AbortController();
  const see = (text: string): SeenFrame | null => {
    // All watchers get the same few frames: each is parsed once, whoever gets it first.
    const known = frames.findLast((seen) => seen.text === text);
    if (known !== undefined) return known;
    const frame = parseFrame(text);
    if (frame === null) return null;
    const seen = { text, frame, firstSeenMs: performance.now() };
    frames.push(seen);
    return seen;
  };
  const path = `/events/${eventId}/stream`;
  try {
    while (watchers.length < count) {
      const wave = Array.from({ length: Math.min(waveSize, count - watchers.length) }, () => {
        const watcher: Watcher = { last: null, lastId: "", reconnects: 0 };
        follow({ target, path, watcher, see, signal: abort.signal });
        return watcher;
      });
      watchers.push(...wave);
      const ready = await within(firstFrameMsMax, () => wave.every(({ last }) => last !== null));
      if (!ready) {
        const without = watchers.filter(({ last }) => last === null).length;
        throw new Error(
          `${without} of ${watchers.length} watchers got no first frame from ${path} within ` +
            `${firstFrameMsMax} ms. Look at the server's log, and at its cap on streams.`,
        );
      }
    }
  } catch (error) {
    // Streams that are left open would keep this process alive.
    abort.abort();
    throw error;
  }
  return {
    firstSeenMs: (matches) => frames.find(({ frame }) => matches(frame))?.firstSeenMs ?? null,
    newest: () => frames.at(-1)?.frame ?? null,
    count: (matches) => watchers.filter(({ last }) => last !== null && matches(last.frame)).length,
    reconnects: () => watchers.reduce((sum, { reconnects }) => sum + reconnects, 0),
    close: () => abort.abort(),
  };
}

/** Waits for a condition; false when the deadline passes first. */
export async function within(deadlineMs: number, isTrue: () => boolean): Promise<boolean> {
  const endMs = performance.now() + deadlineMs;
  while (!isTrue()) {
    if (performance.now() > endMs) return false;
    await delay(pollMs);
  }
  return true;
}

type Following = {
  readonly target: Target;
  readonly path: string;
  readonly watcher: Watcher;
  readonly see: (text: string) => SeenFrame | null;
  readonly signal: AbortSignal;
};

/** Reads one stream; one that ends is opened again from its last frame, like a browser does. */
function follow(following: Following): void {
  const { target, path, watcher, signal } = following;
  const again = (): void => {
    if (signal.aborted || watcher.reconnects >= reconnectsMax) return;
    watcher.reconnects += 1;
    setTimeout(() => {
      if (!signal.aborted) follow(following);
    }, reconnectPauseMs);
  };
  const headers: Record<string, string> = { Accept: "text/event-stream", Host: target.authority };
  if (watcher.lastId !== "") headers["Last-Event-ID"] = watcher.lastId;
  const { address: host, port } = target;
  const options = { host, port, path, headers, agent: false, signal };
  const stream = request(options, (answer) => {
    if (answer.statusCode === 200) readFrames(following, answer);
    else answer.resume();
  });
  // An aborted or broken stream is an error and a close; the close alone decides what is next.
  stream.on("error", () => {});
  stream.on("close", again);
  stream.end();
}

function readFrames({ watcher, see }: Following, answer: IncomingMessage): void {
  let rest = "";
  answer.setEncoding("utf8");
  answer.on("error", () => {});
  answer.on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n\n");
    rest = parts.pop() ?? "";
    if (rest.length > frameBytesMax) answer.destroy();
    for (const part of parts) {
      const data = /^data: ?(.*)$/m.exec(part)?.[1];
      if (data === undefined) continue;
      watcher.lastId = /^id: ?(.*)$/m.exec(part)?.[1] ?? watcher.lastId;
      watcher.last = see(data) ?? watcher.last;
    }
  });
}

function parseFrame(text: string): Frame | null {
  try {
    const { issued, remaining, state, decided, lastWinningTicket }: Frame = JSON.parse(text);
    return { issued, remaining, state, decided, lastWinningTicket };
  } catch {
    // A frame that cannot be read tells nothing; whoever waits for one runs into the deadline.
    return null;
  }
}
