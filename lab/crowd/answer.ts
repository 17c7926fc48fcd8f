/** One HTTP/1.1 answer as the crowd needs it; the body stays text until the sale is over. */
export type HttpAnswer = {
  readonly status: number;
  readonly body: string;
  /** The server will close the connection after this answer. */
  readonly closes: boolean;
};

/** A claim's answer has some hundred bytes; whatever sends more than this is not one. */
export const answerBytesMax = 64 * 1024;

type Framing = {
  readonly length: number | null;
  readonly chunked: boolean;
  readonly closes: boolean;
};

const headEnd = Buffer.from("\r\n\r\n");

/**
 * Reads one whole answer, or gives null while bytes are missing: the caller keeps them and asks
 * again with more. Throws on anything that is not exactly one answer. The crowd shares the cores
 * with the server that it measures, so this reads only what it needs: the status line, the body's
 * length and whether the connection ends. It is no general client: no 1xx, no body up to the close.
 */
export function readAnswer(bytes: Buffer): HttpAnswer | null {
  const end = bytes.indexOf(headEnd);
  if (end === -1) {
    if (bytes.length > answerBytesMax) throw new Error("the answer's head does not end");
    return null;
  }
  const head = bytes.toString("latin1", 0, end);
  const statusEnd = lineEnd(head, 0);
  const status = Number(/^HTTP\/1\.1 ([2-5]\d\d)(?: |$)/.exec(head.slice(0, statusEnd))?.[1]);
  if (Number.isNaN(status)) throw new Error("the answer has no HTTP/1.1 status line");
  const framing = readFraming(head, statusEnd + 2);
  const start = end + headEnd.length;
  if (framing.chunked) return readChunked(bytes, start, { status, closes: framing.closes });
  const length = framing.length ?? (status === 204 || status === 304 ? 0 : null);
  if (length === null) throw new Error("the answer does not say how long it is");
  if (length > answerBytesMax) throw new Error(`the answer announces ${length} bytes`);
  if (bytes.length < start + length) return null;
  if (bytes.length > start + length) throw new Error("the answer is longer than it says");
  return { status, body: bytes.toString("utf8", start, start + length), closes: framing.closes };
}

function lineEnd(head: string, from: number): number {
  const at = head.indexOf("\r\n", from);
  return at === -1 ? head.length : at;
}

function readFraming(head: string, from: number): Framing {
  let length: number | null = null;
  let chunked = false;
  let closes = false;
  for (let start = from; start < head.length;) {
    const end = lineEnd(head, start);
    const colon = head.indexOf(":", start);
    if (colon <= start || colon > end) throw new Error("the answer has a header without a name");
    // Comparing the lengths first spares slicing some twenty headers that nobody here reads.
    switch (colon - start) {
      case "content-length".length:
        if (isNamed(head, start, "content-length")) {
          const value = head.slice(colon + 1, end).trim();
          if (length !== null || !/^\d{1,10}$/.test(value)) {
            throw new Error("the answer has no single valid Content-Length");
          }
          length = Number(value);
        }
        break;
      case "transfer-encoding".length:
        if (isNamed(head, start, "transfer-encoding")) {
          const value = head
            .slice(colon + 1, end)
            .trim()
            .toLowerCase();
          if (chunked || value !== "chunked") throw new Error("unknown Transfer-Encoding");
          chunked = true;
        }
        break;
      case "connection".length:
        if (isNamed(head, start, "connection")) {
          closes =
            head
              .slice(colon + 1, end)
              .trim()
              .toLowerCase() === "close";
        }
        break;
    }
    start = end + 2;
  }
  if (chunked && length !== null) throw new Error("the answer has two lengths");
  return { length, chunked, closes };
}

function isNamed(head: string, start: number, name: string): boolean {
  return head.slice(start, start + name.length).toLowerCase() === name;
}

function readChunked(
  bytes: Buffer,
  start: number,
  answer: Omit<HttpAnswer, "body">,
): HttpAnswer | null {
  const parts: Buffer[] = [];
  let at = start;
  for (;;) {
    const end = bytes.indexOf("\r\n", at);
    if (end === -1) return atMost(bytes);
    const size = bytes.toString("latin1", at, end);
    if (!/^[0-9a-f]{1,6}$/i.test(size)) throw new Error("the answer has a chunk without a size");
    const length = Number.parseInt(size, 16);
    const next = end + 2 + length + 2;
    if (bytes.length < next) return atMost(bytes);
    if (bytes.toString("latin1", next - 2, next) !== "\r\n") {
      throw new Error("the answer has a chunk that is longer than its size");
    }
    if (length === 0) {
      if (bytes.length > next) throw new Error("the answer goes on after its last chunk");
      return { ...answer, body: Buffer.concat(parts).toString("utf8") };
    }
    parts.push(bytes.subarray(end + 2, end + 2 + length));
    at = next;
  }
}

function atMost(bytes: Buffer): null {
  if (bytes.length > answerBytesMax) throw new Error("the answer's chunks do not end");
  return null;
}
