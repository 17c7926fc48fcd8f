import { channel } from "node:diagnostics_channel";

/** What one transaction, script or produce request carried. */
export type BatchFact = {
  readonly kind: "redis-script" | "redis-rows" | "kafka-produce" | "kafka-decide";
  /** Claims. */
  readonly size: number;
};

const batches = channel("stampede:batch");

export function publishBatch(kind: BatchFact["kind"], size: number): void {
  if (batches.hasSubscribers) batches.publish({ kind, size } satisfies BatchFact);
}

export function onBatch(listener: (fact: BatchFact) => void): void {
  batches.subscribe((message) => {
    if (isBatchFact(message)) listener(message);
  });
}

function isBatchFact(message: unknown): message is BatchFact {
  return typeof message === "object" && message !== null && "kind" in message && "size" in message;
}
