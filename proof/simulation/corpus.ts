import type { Mechanism } from "@stampede/domain";

/**
 * Sales that once broke a promise, or showed a mistake of the simulator: they are run always, before
 * any other. What a seed shows changes when a fault or a person is drawn in another way; it stays
 * here all the same.
 */
export const CORPUS: readonly {
  readonly mechanism: Mechanism;
  readonly seed: number;
  readonly showed: string;
}[] = [
  {
    mechanism: "redis-counter",
    seed: 3,
    showed: "a leadership session that was lost while it asked for the lock was told as a bug",
  },
  {
    mechanism: "redis-counter",
    seed: 48,
    showed: "a sale that was over before the reconciler saw it got its latch within 30 s only",
  },
  {
    mechanism: "redis-counter",
    seed: 1228,
    showed: "the simulated client told commands in flight as never sent when it was destroyed",
  },
  {
    mechanism: "redis-counter",
    seed: 1376,
    showed: "Redis emptied after the end had the winners again within 30 s only",
  },
  {
    mechanism: "kafka-queue",
    seed: 63,
    showed: "ahead grew on an instance whose database did not answer (see docs/simulation.md)",
  },
  {
    mechanism: "kafka-queue",
    seed: 294,
    showed: "persons who had lost patience came back after the deadline",
  },
];
