// RESP2, as far as the proxy needs it: a request is an array of bulk strings, replies come in the
// order of the requests. Pushed messages (RESP3, MONITOR, subscriptions) are not understood.
import { frameSplitter } from "@stampede/launcher/testing";
import type { OpenReader } from "@stampede/launcher/testing";

const LINE_END = "\r\n";

const ERROR = "-".charCodeAt(0);

/**
 * Counts the replies to one command, EVALSHA unless told otherwise. An error does not count: behind
 * NOSCRIPT nothing was done that could be lost. Nor does a trial of rights.
 */
export function readCommands(name = "EVALSHA"): OpenReader {
  return () => {
    const splitRequests = frameSplitter((bytes) => endOf(bytes, 0));
    const splitReplies = frameSplitter((bytes) => endOf(bytes, 0));
    const asked: boolean[] = [];
    return {
      request(chunk) {
        for (const request of splitRequests(chunk)) {
          asked.push(commandOf(request) === name && !isTrial(request));
        }
      },
      reply: (chunk) =>
        splitReplies(chunk).map((bytes) => {
          const isAsked = asked.shift() === true;
          return { bytes, counts: isAsked && bytes[0] !== ERROR };
        }),
    };
  };
}

/** Where the value that begins at `start` ends; null while it is not whole. */
function endOf(bytes: Buffer, start: number): number | null {
  const lineEnd = bytes.indexOf(LINE_END, start);
  if (lineEnd === -1) return null;
  const next = lineEnd + LINE_END.length;
  const kind = String.fromCharCode(bytes[start] ?? 0);
  const size = Number(bytes.toString("latin1", start + 1, lineEnd));
  if (kind === "$") {
    const end = size < 0 ? next : next + size + LINE_END.length;
    return end > bytes.length ? null : end;
  }
  if (kind !== "*") return next;
  let end: number | null = next;
  for (let n = 0; n < size && end !== null; n += 1) end = endOf(bytes, end);
  return end;
}

/** At each new connection an EVALSHA without keys tries whether its user may run scripts. */
function isTrial(request: Buffer): boolean {
  return /^\*3\r\n.*\r\n0\r\n$/s.test(request.toString("latin1"));
}

/** The second line of the array's first bulk string: `*3 $7 EVALSHA ...`. */
function commandOf(request: Buffer): string {
  return (request.toString("latin1", 0, 64).split(LINE_END)[2] ?? "").toUpperCase();
}
