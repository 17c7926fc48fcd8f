// O4: every pair of the faults that v1 can meet (A8, P2, P4, P5: 6 pairs), the second one while the
// first lasts, or right after it where it needs what the first took; the order by the seed.
//
// Red as each fault alone; and when a claim is told as certain that met both a lost COMMIT and a
// PostgreSQL that is gone (`"unknown"` of COMMIT in postgres/open.ts).
import { test } from "node:test";
import { openPairPlace } from "./support/pair-place.ts";
import type { PairPlace } from "./support/pair-place.ts";
import { rowLockPairs, runRound, titleOf } from "./support/pair-rounds.ts";
import { assertGuardsSilent } from "./support/sale-under-fault.ts";
import { procMissing } from "./support/processes.ts";
import { engineMissing } from "./support/sale.ts";

const skip = engineMissing || procMissing;

test("O4: two faults in one sale of v1", { skip }, async (t) => {
  let opened: Promise<PairPlace> | null = null;
  const open = async (): Promise<PairPlace> => (opened ??= openPairPlace(t));
  for (const pair of rowLockPairs) {
    await t.test(`O4: ${titleOf(pair)}`, async (t) => runRound(t, open, { row: "O4", pair }));
  }
  if (opened !== null) assertGuardsSilent((await (opened as Promise<PairPlace>)).postgres);
});
