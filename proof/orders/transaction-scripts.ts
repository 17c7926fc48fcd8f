// The product's transactions as scripts for sessions that go on step by step: what each may say of itself
// after its commit is what sql-orders-judge.ts judges.
import assert from "node:assert/strict";
import { changeEvent, createEvent } from "@stampede/domain";
import type { CouponIssue, EventChange, EventId, Mechanism, UserId } from "@stampede/domain";
import { drawCode, drawToken } from "@stampede/infrastructure/src/rows/codes.ts";
import {
  decideBatch,
  takeOver,
} from "@stampede/infrastructure/src/kafka-queue/decider/decide-batch.ts";
import type { QueueEntry } from "@stampede/infrastructure/src/kafka-queue/decider/decide-batch.ts";
import { writeHalt } from "@stampede/infrastructure/src/kafka-queue/halts.ts";
import { paceLimiter } from "@stampede/infrastructure/src/kafka-queue/decider/pace.ts";
import type { EventDirectory } from "@stampede/infrastructure/src/rows/event-directory.ts";
import { postgresEventStore } from "@stampede/infrastructure/src/rows/event-store.ts";
import type { Postgres } from "@stampede/infrastructure/src/engines/postgres/open.ts";
import { writeBatch } from "@stampede/infrastructure/src/rows/write-batch.ts";
import { UNDER_THE_LOCK } from "@stampede/infrastructure/src/group-commit/issuer.ts";
import { rowLockIssuer } from "@stampede/infrastructure/src/row-lock/issuer.ts";
import { replaceGeneration } from "@stampede/infrastructure/src/redis-counter/generations.ts";
import { writeReservations } from "@stampede/infrastructure/src/redis-counter/reservations.ts";
import { knownMechanisms, person } from "@stampede/infrastructure/test/support/sale.ts";

/** What one session says of a person, or of its change, after its commit. */
export type Told =
  | { readonly kind: "issued" | "replayed"; readonly couponIssue: CouponIssue }
  | { readonly kind: "sold-out" | "paused"; readonly userId: UserId }
  | { readonly kind: "changed" | "not changed" | "created" | "exists" | "halted" }
  | { readonly kind: "replaced" | "not replaced"; readonly generation: string };

export type Script = {
  /** Tokens that it needs at most, and at most where reads under a lock are no step (`coarse`). */
  readonly steps: number;
  readonly coarseSteps: number;
  readonly persons: readonly number[];
  readonly run: (postgres: Postgres, eventId: EventId) => Promise<readonly Told[]>;
};

export type Scenario = {
  readonly name: string;
  readonly mechanism: Mechanism;
  readonly limit: number;
  readonly scripts: readonly Script[];
  /** What the sessions say after their commits, in the order of the alphabet, whatever the order. */
  readonly right?: readonly Told["kind"][];
  /** True where the scripts make the event themselves. */
  readonly isNew?: boolean;
};

const nothingNoted = { noteCommitted: () => undefined } as unknown as EventDirectory;

export const claim = (who: number): Script => ({
  steps: 4,
  coarseSteps: 3,
  persons: [who],
  async run(postgres, eventId) {
    const issuer = rowLockIssuer({ postgres, directory: nothingNoted, drawCode });
    const answer = await issuer.claim(eventId, person(who));
    if (answer.kind === "issued" || answer.kind === "replayed") return [answer];
    assert.ok(answer.kind === "refused");
    const { kind } = answer.refusal;
    assert.ok(kind === "sold-out" || kind === "paused");
    return [{ kind, userId: person(who) }];
  },
});

export const batch = (...who: readonly number[]): Script => ({
  steps: 4,
  coarseSteps: 3,
  persons: who,
  async run(postgres, eventId) {
    const writing = { postgres, directory: nothingNoted, drawCode };
    const userIds = who.map(person);
    const { answers } = await writeReservations(writing, eventId, userIds);
    return answers.map((answer, n): Told => {
      if (answer.ok) return answer.value;
      assert.equal(answer.refusal.kind, "sold-out");
      return { kind: "sold-out", userId: userIds[n]! };
    });
  },
});

/** v4's: the same transaction, with the door judged under the lock. */
export const group = (...who: readonly number[]): Script => ({
  steps: 4,
  coarseSteps: 3,
  persons: who,
  async run(postgres, eventId) {
    const claims = who.map((one) => ({ userId: person(one), code: drawCode() }));
    const writing = { postgres, directory: nothingNoted };
    const { answers } = await writeBatch(writing, eventId, claims, UNDER_THE_LOCK);
    return answers.map((answer, n): Told => {
      if (answer.ok) return answer.value;
      const { kind } = answer.refusal;
      assert.ok(kind === "sold-out" || kind === "paused");
      return { kind, userId: claims[n]!.userId };
    });
  },
});

const change = (wanted: EventChange): Script => ({
  steps: 3,
  coarseSteps: 3,
  persons: [],
  async run(postgres, id) {
    const store = postgresEventStore(postgres);
    const changed = await changeEvent(
      { store, mechanisms: knownMechanisms },
      { id, version: 1, change: wanted },
    );
    return [{ kind: changed.ok ? "changed" : "not changed" }];
  },
});

/** Persons of the log by ticket; the second record of the first one is a duplicate. */
export const log = [1, 1, 2, 3];
const entriesOf = (eventId: EventId): QueueEntry[] =>
  log.map((who, ticket) => ({ ticket, claim: { eventId, userId: person(who) } }));

export const decide = (options: { readonly takesOver: boolean }): Script => ({
  steps: options.takesOver ? 5 : 4,
  coarseSteps: options.takesOver ? 4 : 3,
  persons: log,
  async run(postgres, eventId) {
    const at = options.takesOver
      ? await takeOver(postgres, eventId)
      : { eventId, epoch: 0, nextOffset: 0 };
    assert.ok(at !== null);
    const entries = entriesOf(eventId).slice(at.nextOffset);
    if (entries.length === 0) return [];
    const limiter = paceLimiter(performance.now());
    const outcome = await decideBatch(postgres, at, entries, { limiter, openingAwaited: true });
    if (outcome.kind !== "decided") return [];
    return outcome.added.map((couponIssue) => ({ kind: "issued", couponIssue }));
  },
});

/** v2: whoever reopens the event in Redis takes a generation of its own, if it still is as it was read. */
export const reopen = (): Script => ({
  steps: 3,
  coarseSteps: 3,
  persons: [],
  async run(postgres, eventId) {
    const next = drawToken();
    const isOurs = await replaceGeneration(postgres, eventId, { generation: null, next });
    return [{ kind: isOurs ? "replaced" : "not replaced", generation: next }];
  },
});

/** v3: whoever finds the log untrustworthy stops the event for every decider. */
export const halt = (): Script => ({
  steps: 1,
  coarseSteps: 1,
  persons: [],
  async run(postgres, eventId) {
    await writeHalt(postgres, eventId, "a test");
    return [{ kind: "halted" }];
  },
});

/** An operator's new event of v3, with the row of a topic of its own. */
export const create = (topic: string): Script => ({
  steps: 4,
  coarseSteps: 4,
  persons: [],
  async run(postgres, id) {
    const store = postgresEventStore(postgres, () => ({
      prepare: async () => ({
        async record(sql) {
          const values = [id, `${topic} of ${id}`];
          await sql.query(
            "INSERT INTO queues (event_id, topic, topic_id) VALUES ($1, $2, $2)",
            values,
          );
        },
        finish: async () => undefined,
      }),
    }));
    const wanted = { name: topic, mechanism: "kafka-queue", limit: 2, listed: true } as const;
    const made = { ...wanted, id, opensAtMs: null, closesAtMs: null, pace: null };
    const created = await createEvent({ store, mechanisms: knownMechanisms }, made);
    return [{ kind: created.ok ? "created" : "exists" }];
  },
});

export const raise = change({ limit: 2 });
export const pause = change({ paused: true });
