import { setTimeout as delay } from "node:timers/promises";

const WAIT_MS_MAX = 10_000;
const POLL_MS = 10;

export type UntilOptions = {
  readonly msMax?: number;
  /** The pause between two looks. */
  readonly pollMs?: number;
  /** An error of the condition counts as "not yet", and is told at the end. Without it: at once. */
  readonly errorIsNotYet?: boolean;
};

/** Looks until the condition is true; rejects with a sentence about `what` where it never is. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  { msMax = WAIT_MS_MAX, pollMs = POLL_MS, errorIsNotYet = false }: UntilOptions = {},
): Promise<void> {
  const endMs = performance.now() + msMax;
  for (;;) {
    let cause: unknown;
    try {
      if (await condition()) return;
    } catch (error) {
      if (!errorIsNotYet) throw error;
      cause = error;
    }
    if (performance.now() > endMs) {
      throw new Error(`This did not become true within ${msMax} ms: ${what}`, { cause });
    }
    await delay(pollMs);
  }
}
