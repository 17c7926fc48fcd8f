import type { MechanismDescription } from "../mechanism.ts";
import { fullest } from "../engines/measure.ts";
import type { EventShares } from "../engines/measure.ts";
import { rowLockIssuer } from "./issuer.ts";

/**
 * Ten thousand claims at one instant take about ten seconds; the rest is for slow machines.
 */
const POOL = {
  waitersMax: 100_000,
  waitMsMax: 60_000,
  // Two, so that the next one is there when the lock is free: a rush, or a row that somebody holds,
  // costs its own event only.
  perKey: { permits: 2, waitersMax: 50_000 },
};

export const rowLock: MechanismDescription = {
  name: "row-lock",
  version: "v1",
  title: "Row lock",
  summary: "Each claim locks the event's row in PostgreSQL, decides, and commits before the next.",
  needs: ["postgres"],
  queues: false,
  batches: [],
  async open({ openPool, poolSizes, role, postgres: shared, directory, drawCode }) {
    const bounds = { ...POOL, connectionsMax: poolSizes.rowLock };
    const postgres = role === "decider" ? shared : await openPool("row-lock", bounds);
    const { waitersMax } = POOL.perKey;
    const lines = function* (): EventShares {
      for (const [id, waiting] of postgres.waitingByKey()) yield [id, waiting / waitersMax];
    };
    return {
      issuer: rowLockIssuer({ postgres, directory, drawCode }),
      preparation: null,
      available: () => postgres.isUp(),
      measures: [],
      resources: {
        "row-lock-line": () => fullest(postgres.usage().waiting / POOL.waitersMax, lines()),
      },
      lines,
    };
  },
};
