// Bytes sent as they are, and the answers that come back: what bad requests need of a client.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";

/** A hang is a fault: whatever was sent, the service says something or closes within this time. */
export const ANSWER_MS_MAX = 5_000;

export type Answer = {
  readonly status: number;
  readonly head: string;
  readonly body: string;
};

/**
 * Sends the bytes on a connection of their own and gives all that came until it was closed; `ends`
 * closes the sending half behind them. Rejects when that takes more than five seconds.
 */
export async function askRaw(
  url: string,
  request: Buffer,
  { ends }: { readonly ends: boolean },
): Promise<string> {
  const socket = openRaw(url);
  let received = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    received += chunk;
  });
  socket.write(request);
  if (ends) socket.end();
  try {
    await once(socket, "close", { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  } finally {
    socket.destroy();
  }
  return received;
}

export function openRaw(url: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  // A server that refuses early may reset what it has not read; the answer is what counts.
  socket.on("error", () => undefined);
  return socket;
}

/** The whole answers of a connection, by their lengths; fails where something else stands between. */
export function answersIn(text: string): Answer[] {
  const answers: Answer[] = [];
  // Lengths count bytes.
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    const end = rest.indexOf("\r\n\r\n");
    assert.notEqual(end, -1, `no answer: ${rest.toString()}`);
    const head = rest.subarray(0, end).toString();
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    assert.ok(status >= 100, `no answer: ${head}`);
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    const next = end + 4 + length;
    assert.ok(rest.length >= next, `cut short: ${rest.toString()}`);
    answers.push({ status, head, body: rest.subarray(end + 4, next).toString() });
    rest = rest.subarray(next);
  }
  return answers;
}

/** Nobody can know of these bytes how much of a request is still missing, or of an answer. */
const SILENCE_MS = 150;

/**
 * Sends bytes that may be any number of requests, or a part of one. When nothing has come for a moment
 * the sending half is closed: from then on the service knows all, and has five seconds to close.
 */
export async function askAnything(url: string, bytes: Buffer): Promise<string> {
  const socket = openRaw(url);
  let received = "";
  const silence = setTimeout(() => socket.end(), SILENCE_MS);
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    received += chunk;
    silence.refresh();
  });
  socket.write(bytes);
  try {
    await once(socket, "close", { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  } catch (cause) {
    throw new Error(`neither answer nor end: ${JSON.stringify(bytes.toString("latin1"))}`, {
      cause,
    });
  } finally {
    clearTimeout(silence);
    socket.destroy();
  }
  return received;
}
