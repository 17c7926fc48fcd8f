// A crowd that asks several times at once: each person writes all their requests before any answer can
// come (HTTP/1.1 pipelining), which the lab's crowd, one request at a time, does not do.
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { attemptOf, readAnswer } from "@stampede/lab";
import type { Attempt } from "@stampede/lab";
import type { Sale } from "./sale.ts";

const WAVE = 500;
const CONNECT_MS_MAX = 20_000;
const HEAD_END = "\r\n\r\n";

/** Everybody claims so often at one instant, each on a connection of their own. */
export async function claimTimes(
  sale: Sale,
  persons: readonly string[],
  { times, deadlineMs }: { readonly times: number; readonly deadlineMs: number },
): Promise<Attempt[]> {
  const sockets: Socket[] = [];
  try {
    while (sockets.length < persons.length) {
      const wave = Math.min(WAVE, persons.length - sockets.length);
      sockets.push(...(await Promise.all(Array.from({ length: wave }, async () => open(sale)))));
    }
    // The kernel's queue is first in, first out: once this is answered, everybody is in.
    await (await fetch(`${sale.program.url}/healthz`)).arrayBuffer();
    const crowd = persons.map(async (person, n) =>
      claimOn(sockets[n]!, sale, { person, times, deadlineMs }),
    );
    return (await Promise.all(crowd)).flat();
  } finally {
    // By a reset: ten thousand local ports would wait in TIME_WAIT otherwise.
    for (const socket of sockets) socket.resetAndDestroy();
  }
}

async function open({ target }: Sale): Promise<Socket> {
  const socket = connect(target.port, target.address);
  await once(socket, "connect", { signal: AbortSignal.timeout(CONNECT_MS_MAX) });
  socket.on("error", () => undefined);
  return socket;
}

type Claims = { readonly person: string; readonly times: number; readonly deadlineMs: number };

async function claimOn(socket: Socket, sale: Sale, claims: Claims): Promise<Attempt[]> {
  const { person, times, deadlineMs } = claims;
  const { eventId, mechanism, target, claimPath } = sale;
  const request = `POST ${claimPath} HTTP/1.1\r\nHost: ${target.authority}\r\nX-User-Id: ${person}\r\nContent-Length: 0\r\n\r\n`;
  const instance = target.authority;
  const about = { kind: "claim", person, eventId, mechanism, instance, ticketAsked: null } as const;
  const sentMs = performance.now();
  const attempts: Attempt[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const note = (bytes: Buffer | null): void => {
    const answer = bytes === null ? null : readAnswer(bytes);
    const fault = answer === null ? "reset" : null;
    const asked = { ...about, id: 0, attempt: attempts.length + 1 };
    attempts.push(attemptOf(asked, { sentMs, returnedMs: performance.now(), answer, fault }));
    if (attempts.length === times) resolve();
  };
  let received: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (let end = firstAnswer(received); end !== null; end = firstAnswer(received)) {
      note(received.subarray(0, end));
      received = received.subarray(end);
    }
  });
  socket.once("close", () => {
    while (attempts.length < times) note(null);
  });
  const timer = setTimeout(() => socket.destroy(), deadlineMs);
  socket.write(request.repeat(times));
  await promise;
  clearTimeout(timer);
  return attempts;
}

/** Where the first whole answer ends; null while bytes of it are missing. */
function firstAnswer(bytes: Buffer): number | null {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd === -1) return null;
  const head = bytes.toString("latin1", 0, headEnd);
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? Number.NaN);
  const end = headEnd + HEAD_END.length + length;
  return end <= bytes.length ? end : null;
}
