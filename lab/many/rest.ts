// What sales cost that are over.
import { setTimeout as pause } from "node:timers/promises";

import { engineCounts } from "../compare/engines.ts";
import { REST_MS } from "./figures.ts";
import type { Part } from "./part.ts";

/** What is over is let go within this time: what people asked about lately is read for half a minute. */
const LET_GO_MS = 45_000;

export const measureRest: Part = async (sales, measure, { events }) => {
  const { shop } = sales;
  await measure(
    `Redis commands and PostgreSQL transactions a second with ${events} finished events of v2 and nobody there`,
    "< 10 and < 20",
    async () => {
      await sales.claimEach(await sales.makeMany("v2", { count: events, limit: 1 }));
      await pause(LET_GO_MS);
      const before = await engineCounts(shop);
      await pause(REST_MS);
      const after = await engineCounts(shop);
      const rate = (name: "commands" | "transactions"): string =>
        ((after[name] - before[name]) / (REST_MS / 1_000)).toFixed(0);
      return `${rate("commands")} and ${rate("transactions")}`;
    },
  );
};
