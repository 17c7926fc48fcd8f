// The ends of what a case or a place has started. Unlike the hooks of a test, which run in the order in
// which they were added, these run in reverse: no program outlives its engines, no engine its disk.
import type { TestContext } from "node:test";

export type Cleaning = Pick<TestContext, "after">;

export type Ends = Cleaning & {
  /** Runs all of them; rejects with what the first of them failed of. */
  readonly run: () => Promise<void>;
};

export function openEnds(): Ends {
  const ends: (() => unknown)[] = [];
  return {
    after: (end) => void ends.push(end as () => unknown),
    async run() {
      const failures: unknown[] = [];
      for (const end of ends.splice(0).toReversed()) {
        try {
          await end();
        } catch (error) {
          // The others have to end all the same; it is told below.
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
