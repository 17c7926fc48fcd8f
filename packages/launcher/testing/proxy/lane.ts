// One direction of one connection through the proxy: bytes leave in the order in which they came, as
// late, as slowly and in as small pieces as the link of the moment says.
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** What a link does to all that goes through it. */
export type Link = {
  /** Each way. */
  readonly latencyMs: number;
  /** Up to so much more, or less, than the latency. */
  readonly jitterMs: number;
  readonly bytesPerSecondMax: number;
  /** Bytes leave in pieces of at most this size, each in a write of its own. */
  readonly sliceBytesMax: number;
  /** The share of the replies that are answered by a reset instead. */
  readonly resetShare: number;
  /** Nothing goes through, no end of a connection either; what came meanwhile goes on afterwards. */
  readonly blackhole: boolean;
};

export const clearLink: Link = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecondMax: Number.POSITIVE_INFINITY,
  sliceBytesMax: Number.POSITIVE_INFINITY,
  resetShare: 0,
  blackhole: false,
};

/** The conditions that all lanes of a proxy share, as they are now. */
export type Conditions = {
  readonly link: () => Link;
  /** Resolves once the link is no black hole any more. */
  readonly open: () => Promise<void>;
  /** From 0 to 1, by the test's seed. */
  readonly random: () => number;
};

export type Lane = {
  readonly send: (bytes: Buffer) => void;
  /** Does it when all that came before has left; what comes after waits for it. */
  readonly act: (action: () => Promise<void> | void) => void;
};

type Item = { readonly run: () => Promise<void> | void; readonly dueMs: number };

/** A link with little bandwidth sends so many pieces a second. */
const PIECES_PER_SECOND = 50;

export function openLane(to: Socket, { link, open, random }: Conditions): Lane {
  const queue: Item[] = [];
  let running = false;

  const write = async (bytes: Buffer): Promise<void> => {
    const { sliceBytesMax, bytesPerSecondMax } = link();
    const pieceBytes = Math.max(1, Math.floor(bytesPerSecondMax / PIECES_PER_SECOND));
    const sliceBytes = Math.min(sliceBytesMax, pieceBytes, bytes.length);
    for (let at = 0; at < bytes.length && to.writable; at += sliceBytes) {
      const slice = bytes.subarray(at, at + sliceBytes);
      to.write(slice);
      const lastsMs = (slice.length / bytesPerSecondMax) * 1_000;
      if (lastsMs > 0) await pause(lastsMs);
      else if (sliceBytes < bytes.length) await new Promise(setImmediate);
    }
  };
  const runAll = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      const waitMs = item.dueMs - performance.now();
      if (waitMs > 0) await pause(waitMs);
      if (link().blackhole) await open();
      await item.run();
    }
    running = false;
  };
  const put = (run: Item["run"]): void => {
    const { latencyMs, jitterMs } = link();
    const delayMs = Math.max(0, latencyMs + jitterMs * (2 * random() - 1));
    queue.push({ run, dueMs: performance.now() + delayMs });
    if (running) return;
    running = true;
    void runAll();
  };
  return { send: (bytes) => put(async () => write(bytes)), act: put };
}
