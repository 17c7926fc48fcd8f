import type { QueueRecord, Tables } from "./tables.ts";

export type Values = readonly unknown[];
export type SqlRow = Record<string, unknown>;

/** A statement that is about to run. */
export type Step = {
  /** What it has to own first: rows, and keys that it is about to add. */
  readonly locks: readonly string[];
  /** Runs when it owns all of them, on what is committed then; `write` is done at the commit. */
  readonly run: (context: StepContext) => SqlRow[];
};

type StepContext = {
  readonly tables: Tables;
  readonly write: (change: (committedMs: number) => void) => void;
  /** Epoch milliseconds by the database's clock. */
  readonly clockMs: () => number;
};

export function list(value: unknown): string[] {
  return value as string[];
}

export function queueRow(queue: QueueRecord | undefined): SqlRow {
  return {
    topic: queue?.topic ?? null,
    topic_id: queue?.topicId ?? null,
    epoch: queue?.epoch ?? null,
    next_offset: queue?.nextOffset ?? null,
    mark: queue?.nextOffset ?? null,
    last_winning_ticket: queue?.lastWinningTicket ?? null,
    halted: queue?.halted ?? null,
    // Nobody sets it free again in a simulated sale.
    halt_changes: (queue?.halted ?? null) === null ? 0 : 1,
    retired: false,
  };
}
