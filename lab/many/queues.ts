// Many events that are open at once, those of v3 first: each has a log.
import { setTimeout as pause } from "node:timers/promises";

import type { OpenEvent } from "./claims.ts";
import { mean, middleAndEnd, ms, percentAtRest } from "./figures.ts";
import type { Part } from "./part.ts";

/** Of the events, so many are there when the broker is watched at rest. */
const AT_REST_SHARE = 0.3;
const LIMIT = 1_000;
const RESTED_MS = 60_000;
const RESTED_CLAIMS = 20;

export const measureQueues: Part = async (sales, measure, { events }) => {
  const queues: OpenEvent[] = [];
  const alone: number[] = [];
  const makeAlone = async (upTo: number): Promise<void> => {
    while (queues.length < upTo) {
      const startMs = performance.now();
      queues.push(...(await sales.makeMany("v3", { count: 1, limit: LIMIT })));
      alone.push(performance.now() - startMs);
    }
  };
  const few = Math.ceil(events * AT_REST_SHARE);
  await makeAlone(few);
  await measure(`the broker's CPU at rest with ${few} open events of v3`, "< 5 % of a core", () =>
    percentAtRest(sales.shop, "kafka"),
  );
  await measure("the server's CPU at rest with them", "-", () =>
    percentAtRest(sales.shop, "server"),
  );
  await measure(
    `making ${events} events of v3: half one by one, then half ten side by side`,
    "<= 25 ms each, no growth",
    async () => {
      await makeAlone(Math.ceil(events / 2));
      const tenth = Math.ceil(alone.length / 10);
      const startMs = performance.now();
      const left = events - queues.length;
      queues.push(...(await sales.makeMany("v3", { count: left, limit: LIMIT })));
      const beside = (performance.now() - startMs) / left;
      const [first, last] = [mean(alone.slice(0, tenth)), mean(alone.slice(-tenth))];
      return `${ms(mean(alone))} each (first tenth ${ms(first)}, last ${ms(last)}); ten side by side ${ms(beside)} each`;
    },
  );
  await measure(
    `an undecided ticket on the oldest of ${events} open events of v3 that have rested for a minute: decided after (p50, p99)`,
    "2 s (p99)",
    async () => {
      await pause(RESTED_MS);
      const took: number[] = [];
      for (const event of queues.slice(0, RESTED_CLAIMS)) {
        took.push(...(await sales.claimEach([event])));
      }
      return middleAndEnd(took.toSorted((one, other) => one - other));
    },
  );
  for (const { version } of sales.mechanisms) {
    await measure(
      `claims, one on each of ${events} events of ${version} at one instant: all final (p50, p99 of one)`,
      "10 s, 0 wrong",
      async () => {
        const made = version === "v3" ? queues : null;
        const all = made ?? (await sales.makeMany(version, { count: events, limit: LIMIT }));
        const startMs = performance.now();
        const took = await sales.claimEach(all);
        return `${ms(performance.now() - startMs)} with opening the connections; ${ms(took.at(-1) ?? 0)} the last (${middleAndEnd(took)})`;
      },
    );
  }
};
