import type { Progress } from "@stampede/domain";

// One frame for all watchers of an event: ten thousand of them cost one encoding.
const encoded = new WeakMap<Progress, Buffer>();

/** A server-sent event that tells the progress. */
export function progressFrame(progress: Progress): Buffer {
  const known = encoded.get(progress);
  if (known !== undefined) return known;
  const { id, ...data } = progress;
  const frame = Buffer.from(`id: ${id}\nevent: progress\ndata: ${JSON.stringify(data)}\n\n`);
  encoded.set(progress, frame);
  return frame;
}
