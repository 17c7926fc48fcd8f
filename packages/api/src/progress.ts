import type { Progress } from "@stampede/domain";

/** A server-sent event, and the same as a chunk of a body that HTTP/1.1 sends in chunks. */
export type Frame = { readonly text: Buffer; readonly chunk: Buffer };

// One frame for all watchers of an event: ten thousand of them cost one encoding.
const encoded = new WeakMap<Progress, Frame>();

/** A server-sent event that tells the progress. */
export function progressFrame(progress: Progress): Frame {
  const known = encoded.get(progress);
  if (known !== undefined) return known;
  // What hardly ever happens is told where it has: the usual frame stays as it always was.
  const { id, stalled, voided, ...usual } = progress;
  const data = { ...usual, ...(stalled ? { stalled } : {}), ...(voided ? { voided } : {}) };
  const text = Buffer.from(`id: ${id}\nevent: progress\ndata: ${JSON.stringify(data)}\n\n`);
  const head = Buffer.from(`${text.length.toString(16)}\r\n`);
  const frame = { text, chunk: Buffer.concat([head, text, Buffer.from("\r\n")]) };
  encoded.set(progress, frame);
  return frame;
}
