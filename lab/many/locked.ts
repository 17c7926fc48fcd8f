// Whether an idle event of v1 notices what is done to another one.

import { withDatabase } from "../crowd/database.ts";
import { percentile } from "../crowd/statistics.ts";
import { middleAndEnd } from "./figures.ts";
import type { Part } from "./part.ts";

const CROWD = 5_000;
const CLAIMS = 300;
const LOCKED_MS = 10_000;
/** Of the locked event, so many people wait while its row is held. */
const WAITING = 200;

export const measureLocked: Part = async (sales, measure) => {
  const idle = await sales.make("v1", "many-idle", 10_000);
  const rushed = await sales.make("v1", "many-rushed", 100);
  const quiet = await sales.claimInTurn(idle, (claims) => claims >= CLAIMS);
  const beside = (took: readonly number[]): string =>
    `${middleAndEnd(took)}; quiet ${middleAndEnd(quiet)}: p99 is ${(percentile(took, 99) / percentile(quiet, 99)).toFixed(1)} times that`;
  await measure(
    `v1: a claim on an idle event (p50, p99) while ${CROWD} rush another one`,
    "p99 <= 3 times quiet",
    async () => {
      let isOver = false;
      const rush = sales
        .flood(rushed, { people: CROWD, connections: CROWD })
        .finally(() => (isOver = true));
      const took = await sales.claimInTurn(idle, (claims) => isOver && claims > 0);
      await rush;
      return `${beside(took)} (${took.length} claims)`;
    },
  );
  await measure(
    `v1: the same while somebody holds another event's row for ${LOCKED_MS / 1_000} s and ${WAITING} people claim on it`,
    "p99 <= 3 times quiet",
    async () => {
      const locked = await sales.make("v1", "many-locked", 100);
      const what = "The row cannot be locked";
      const took = await withDatabase(sales.shop.databaseUrl, what, async (client) => {
        await client.query("BEGIN");
        await client.query("SELECT FROM events WHERE id = $1 FOR UPDATE", [locked.id]);
        const waiting = sales.flood(locked, { people: WAITING, connections: WAITING });
        const endMs = performance.now() + LOCKED_MS;
        const claims = await sales.claimInTurn(idle, () => performance.now() > endMs);
        await client.query("COMMIT");
        await waiting;
        return claims;
      });
      return beside(took);
    },
  );
};
