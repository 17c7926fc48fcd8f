// How long a sale takes to be itself again after a fault: the deadlines L1 to L5, measured from the
// moment of healing.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import type { Program } from "../../support/program.ts";
import { isAtRest } from "../finish.ts";
import { heapAtRest } from "./heap.ts";
import { descriptorsOf } from "./processes.ts";
import { readStored } from "./sale.ts";
import type { Sale } from "./sale.ts";

/** Whoever waits for longer waits for something that does not come. */
const REACHED_MS_MAX = 40_000;
const POLL_MS = 20;
/** Each reading of the heap stops the program for a collection. */
const RESOURCES_POLL_MS = 500;
const RESOURCES_SHARE_MAX = 1.1;
/** The pools' connections, which are opened when they are first needed. */
const DESCRIPTORS_MORE_MAX = 25;

/** How long after healing all coupons were rows (L1), and nothing was stuck (L4). */
export async function recovery(
  sale: Sale,
  healedMs: number,
): Promise<{ readonly L1: number; readonly L4: number }> {
  const endMs = healedMs + REACHED_MS_MAX;
  const reached = async (condition: () => Promise<boolean>, what: string): Promise<number> => {
    while (!(await condition())) {
      assert.ok(performance.now() < endMs, `${sale.mechanism}: never ${what}`);
      await pause(POLL_MS);
    }
    return performance.now() - healedMs;
  };
  const L1 = await reached(
    async () => (await readStored(sale)).issued === sale.limit,
    "issued all coupons",
  );
  const L4 = await reached(
    async () => isAtRest(sale, sale.limit),
    "free of stuck sessions and reservations",
  );
  return { L1, L4 };
}

/** When the last of those who were left without a final answer before healing had one. */
export function answeredAt(
  answers: readonly Attempt[],
  told: readonly Attempt[],
  healedMs: number,
): number {
  const left = new Set(
    told
      .filter(({ outcome, sentMs }) => ["queued", "unknown"].includes(outcome) && sentMs < healedMs)
      .map(({ person }) => person),
  );
  const first = new Map<string, number>();
  for (const { person, outcome, returnedMs } of answers) {
    if (!left.has(person) || !["issued", "replay", "sold-out"].includes(outcome)) continue;
    first.set(person, Math.min(first.get(person) ?? Infinity, returnedMs));
  }
  return Math.max(healedMs, ...first.values());
}

/** Descriptors, and the heap of a program that has sold before: a first sale fills what stays. */
export type Resources = { readonly descriptors: number; readonly heapBytes: number | null };

/** Which programs have sold, by their process. */
const warm = new Set<number>();

export async function resourcesOf(program: Program): Promise<Resources> {
  const heapBytes = warm.has(program.pid) ? await heapAtRest(program) : null;
  return { descriptors: descriptorsOf(program.pid), heapBytes };
}

/** L5: waits until descriptors and memory are back to what they were before anybody came. */
export async function resourcesBack(program: Program, before: Resources): Promise<Resources> {
  const endMs = performance.now() + REACHED_MS_MAX;
  const descriptorsMax = before.descriptors * RESOURCES_SHARE_MAX + DESCRIPTORS_MORE_MAX;
  const heapBytesMax = (before.heapBytes ?? Infinity) * RESOURCES_SHARE_MAX;
  for (;;) {
    const now = await resourcesOf(program);
    if (now.descriptors <= descriptorsMax && (now.heapBytes ?? 0) <= heapBytesMax) {
      warm.add(program.pid);
      return now;
    }
    const both = `before ${JSON.stringify(before)}, now ${JSON.stringify(now)}`;
    assert.ok(performance.now() < endMs, `L5: descriptors and memory do not come back: ${both}`);
    await pause(RESOURCES_POLL_MS);
  }
}
