import { setTimeout as sleep } from "node:timers/promises";

const WAIT_MS_MAX = 10_000;
const POLL_MS = 5;

/** Looks until the condition is true; rejects with a sentence about `what` where it never is. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  {
    msMax = WAIT_MS_MAX,
    pollMs = POLL_MS,
  }: { readonly msMax?: number; readonly pollMs?: number } = {},
): Promise<void> {
  const deadlineMs = Date.now() + msMax;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) {
      throw new Error(`This did not become true within ${msMax} ms: ${what}`);
    }
    await sleep(pollMs);
  }
}
