// What the cases have to know of the mechanisms. A new one gets a line here, and with it every case
// that mechanisms of its kind have.
import assert from "node:assert/strict";

type Traits = {
  /** What it needs beside PostgreSQL. */
  readonly beside: "redis" | "kafka" | null;
  /** Whose reply to COMMIT is lost finds out by itself what became of it, and tells everybody. */
  readonly resolvesLostCommit: boolean;
};

const traits = {
  "row-lock": { beside: null, resolvesLostCommit: false },
  "redis-counter": { beside: "redis", resolvesLostCommit: true },
  "kafka-queue": { beside: "kafka", resolvesLostCommit: true },
  "group-commit": { beside: null, resolvesLostCommit: true },
} as const satisfies Readonly<Record<string, Traits>>;

/** A mechanism that faults are injected into. */
export type Mechanism = keyof typeof traits;

export const MECHANISMS = Object.keys(traits) as readonly Mechanism[];

const those = (beside: Traits["beside"]): readonly Mechanism[] =>
  MECHANISMS.filter((mechanism) => traits[mechanism].beside === beside);

/** Decide under the event's row, with PostgreSQL alone. */
export const ROW_MECHANISMS = those(null);
/** Reserve in Redis, and write the rows behind it. */
export const REDIS_MECHANISMS = those("redis");
/** Queue in Kafka, and answer with a ticket. */
export const KAFKA_MECHANISMS = those("kafka");

/** The one of a case that takes them apart. A case that does not must not ask: it would leave some out. */
export function only({ mechanisms }: { readonly mechanisms: readonly Mechanism[] }): Mechanism {
  const [mechanism, ...more] = mechanisms;
  assert.ok(mechanism !== undefined && more.length === 0, "the case does not take them apart");
  return mechanism;
}

type Selling = { readonly mechanism: Mechanism };

export function decidesInRow({ mechanism }: Selling): boolean {
  return traits[mechanism].beside === null;
}

export function reserves({ mechanism }: Selling): boolean {
  return traits[mechanism].beside === "redis";
}

export function queues({ mechanism }: Selling): boolean {
  return traits[mechanism].beside === "kafka";
}

export function resolvesLostCommit({ mechanism }: Selling): boolean {
  return traits[mechanism].resolvesLostCommit;
}
