// How the proxy tells one reply of an engine from the next, and which of them a test may count.

/** A whole reply of the server, never a part of one. */
type Reply = {
  readonly bytes: Buffer;
  /** Whether it answers what this reader looks for: COMMIT, EVALSHA, Produce. */
  readonly counts: boolean;
};

/** Reads along with one connection. It sees all bytes of both directions, in order. */
export type ReplyReader = {
  /** Bytes on their way to the server. */
  readonly request: (chunk: Buffer) => void;
  /** The replies that these bytes complete, as the client is to get them. */
  readonly reply: (chunk: Buffer) => readonly Reply[];
};

/** A reader for each new connection; the ports are the engine's own and the proxy's. */
export type OpenReader = (ports: Ports) => ReplyReader;

export type Ports = { readonly engine: number; readonly proxy: number };

/**
 * Cuts a stream of bytes into whole frames and keeps what is not whole yet. `lengthOf` gives the
 * length of the frame that the bytes begin with; null while too few of them are there to know.
 */
export function frameSplitter(
  lengthOf: (bytes: Buffer) => number | null,
): (chunk: Buffer) => Buffer[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const frames: Buffer[] = [];
    for (;;) {
      const length = rest.length === 0 ? null : lengthOf(rest);
      if (length === null || rest.length < length) return frames;
      frames.push(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
}

/** For a link that no test looks into: whatever came is passed on as it came. */
export const readNothing: OpenReader = () => ({
  request: () => undefined,
  reply: (bytes) => [{ bytes, counts: false }],
});
