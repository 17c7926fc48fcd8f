import { lookup } from "node:dns/promises";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

import { answerBytesMax, readAnswer, type HttpAnswer } from "./answer.ts";

/** Where a server listens: its numeric address, and the name that requests call it by. */
export type Target = {
  readonly address: string;
  readonly port: number;
  /** Host and port as the URL has them. */
  readonly authority: string;
};

/** One request and what came back; times are this process's monotonic clock. */
export type Exchange = {
  readonly sentMs: number;
  /** When the answer was whole, or when it was clear that none would come. */
  readonly returnedMs: number;
  readonly answer: HttpAnswer | null;
  /** Why there is no answer; "unsent": the connection was gone before a byte was written. */
  readonly fault: "timeout" | "reset" | "unreadable" | "unsent" | null;
};

type Pending = { readonly sentMs: number; readonly done: (exchange: Exchange) => void };

/** One connection of one person: one request at a time, no resending of anything. */
export type Connection = {
  readonly isOpen: () => boolean;
  /** Writes at once; `done` is called exactly once. */
  readonly send: (request: Buffer, done: (exchange: Exchange) => void) => void;
  /** Gives up the answer under way, if any, and the connection with it. */
  readonly giveUp: () => void;
  /**
   * Closes by a reset: an orderly close would leave the local port in TIME_WAIT for a minute, and
   * three crowds of 10,000 need more ports than a machine has.
   */
  readonly close: () => void;
};

const waveSize = 500;
const retriesMax = 3;
const retryPauseMs = 200;
const connectMsMax = 5_000;
const askersMax = 8;
/** A server cuts a connection that stays silent for 30 s, so the crowd must stand before that. */
const openingMsMax = 25_000;
const standMsPerThousand = 30;

// All connections read into one buffer: the callback runs before the next read, and a buffer of its
// own for every answer cost more than reading it.
const sharedBuffer = Buffer.allocUnsafe(answerBytesMax);

/** Opens one connection; rejects when that takes more than 5 s. */
export function openConnection(target: Target): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let pending: Pending | null = null;
    let partial: Buffer | null = null;
    const finish = (answer: HttpAnswer | null, fault: Exchange["fault"]): void => {
      const { sentMs, done } = pending ?? { sentMs: 0, done: () => {} };
      pending = null;
      partial = null;
      done({ sentMs, returnedMs: performance.now(), answer, fault });
    };
    const read = (count: number): boolean => {
      const bytes = sharedBuffer.subarray(0, count);
      try {
        const answer = readAnswer(partial === null ? bytes : Buffer.concat([partial, bytes]));
        if (answer === null) {
          partial = partial === null ? Buffer.from(bytes) : Buffer.concat([partial, bytes]);
        } else if (pending === null) {
          socket.destroy();
        } else {
          if (answer.closes) socket.destroy();
          finish(answer, null);
        }
      } catch {
        // Half an answer, or none of HTTP: what was asked may have been done, so it is unknown.
        socket.destroy();
        if (pending !== null) finish(null, "unreadable");
      }
      return true;
    };
    const socket: Socket = connect({
      host: target.address,
      port: target.port,
      onread: { buffer: sharedBuffer, callback: read },
    });
    const timer = setTimeout(
      () => socket.destroy(new Error(`no connection within ${connectMsMax} ms`)),
      connectMsMax,
    );
    const connection: Connection = {
      isOpen: () => socket.readyState === "open",
      send: (request, done) => {
        if (pending !== null) throw new Error("A connection carries one request at a time.");
        pending = { sentMs: performance.now(), done };
        if (socket.readyState === "open") socket.write(request);
        else finish(null, "unsent");
      },
      giveUp: () => {
        end(socket);
        if (pending !== null) finish(null, "timeout");
      },
      close: () => end(socket),
    };
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve(connection);
    });
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      if (pending !== null) finish(null, "reset");
    });
  });
}

/** One request on an open connection, as a promise. */
export function exchange(connection: Connection, request: Buffer): Promise<Exchange> {
  return new Promise((resolve) => connection.send(request, resolve));
}

/** The address in a URL, looked up once: ten thousand times would be part of the measurement. */
export async function targetOf(url: string): Promise<Target> {
  const { protocol, hostname, port, pathname, host } = new URL(url);
  if (protocol !== "http:" || pathname !== "/") {
    throw new Error(`The crowd speaks plain HTTP to the root of one host; "${url}" is not that.`);
  }
  const name = hostname.replace(/^\[(.*)\]$/, "$1");
  const { address } = await lookup(name, { order: "ipv4first" });
  return { address, port: Number(port || 80), authority: host };
}

/**
 * Opens a crowd's connections in waves, since more at once than the listen queue holds would be
 * dropped by the kernel. All of them or an error: a crowd with absentees is another experiment.
 */
export async function openConnections(
  target: Target,
  count: number,
  progress: (opened: number) => void = () => {},
): Promise<Connection[]> {
  const opened: Connection[] = [];
  const startMs = performance.now();
  let retries = 0;
  try {
    while (opened.length < count) {
      const wave = Math.min(waveSize, count - opened.length);
      const results = await Promise.allSettled(
        Array.from({ length: wave }, () => openConnection(target)),
      );
      const faults = results.filter((result) => result.status === "rejected");
      opened.push(...results.flatMap((r) => (r.status === "fulfilled" ? [r.value] : [])));
      progress(opened.length);
      if (performance.now() - startMs > openingMsMax) {
        throw new Error(`${opened.length} of ${count} connections after ${openingMsMax} ms`);
      }
      if (faults.length > 0) {
        if (++retries > retriesMax) throw faults[0]?.reason;
        await delay(retryPauseMs);
      }
    }
    await accepted(target, count);
    // A crowd stands before the doors open: what accepting it cost is no part of answering it.
    await delay((count * standMsPerThousand) / 1_000);
    return opened;
  } catch (cause) {
    for (const connection of opened) connection.close();
    throw new Error(refusedText(target, { opened: opened.length, count }, cause), { cause });
  }
}

/**
 * Waits until the server has accepted everybody: the kernel completes a connection before that. A listen
 * queue is first in, first out, so an answer to a later connection means that all are in. Workers have
 * one each, and several who ask meet all of them, or nearly always.
 */
async function accepted(target: Target, count: number): Promise<void> {
  const askers = Math.min(count, askersMax);
  await Promise.all(Array.from({ length: askers }, async () => isAnswered(target)));
}

async function isAnswered(target: Target): Promise<void> {
  const last = await openConnection(target);
  const timer = setTimeout(last.giveUp, connectMsMax);
  const { answer } = await exchange(last, getRequest(target, "/healthz"));
  clearTimeout(timer);
  last.close();
  if (answer === null) throw new Error("the server does not answer GET /healthz");
}

/** A GET without a body, as bytes. `headers` are whole lines. */
export function getRequest(target: Target, path: string, headers: readonly string[] = []): Buffer {
  return Buffer.from(
    [`GET ${path} HTTP/1.1`, `Host: ${target.authority}`, ...headers, "", ""].join("\r\n"),
  );
}

function refusedText(
  target: Target,
  state: { readonly opened: number; readonly count: number },
  cause: unknown,
): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const advice: Record<string, string> = {
    EMFILE: `Raise the limit of file descriptors: ulimit -n ${state.count + 2_000}.`,
    EADDRNOTAVAIL: "The machine has no free local port left: wait a minute, or use fewer --users.",
    ECONNREFUSED: "Nothing listens there: is the server still running?",
  };
  const said = cause instanceof Error ? cause.message : String(cause);
  return (
    `Only ${state.opened} of ${state.count} connections to ${target.authority} opened: ` +
    `${said}. ${advice[code] ?? "Look at the server's log."}`
  );
}

/**
 * By a reset, so that ten thousand local ports do not wait in TIME_WAIT. Not where the server has
 * closed its side already: a reset then leaves a pending shutdown that spins when the process ends.
 */
function end(socket: Socket): void {
  if (socket.readyState === "open") socket.resetAndDestroy();
  else socket.destroy();
}
