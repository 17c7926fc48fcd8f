// O4: every pair of the faults that v2 can meet (A4, A8, P2, P4, P5, R2, R3, R6: 28 pairs) and that v3
// can meet (A8, P2, P4, P5, K1, K4, K10, K12: 28 pairs), the second one while the first lasts, or right
// after it where it needs what the first took; the order by the seed. A fault of v2's own and one of
// v3's own share a round, each with a sale of its mechanism. (A4 is not v3's, and R and K are nobody's
// but v2's and v3's: docs/guarantees.md. No pair is left out; a fault with itself is no pair.)
//
// Red as each fault alone: the files of those rows name the lines.
import { test } from "node:test";
import { openPairPlace } from "./support/pair-place.ts";
import type { PairPlace } from "./support/pair-place.ts";
import { otherPairs, runRound, titleOf } from "./support/pair-rounds.ts";
import { procMissing } from "./support/processes.ts";
import { engineMissing } from "./support/sale.ts";
import { assertGuardsSilent } from "./support/sale-under-fault.ts";

const skip = engineMissing || procMissing;

test("O4: two faults in one sale of v2 and one of v3", { skip }, async (t) => {
  let opened: Promise<PairPlace> | null = null;
  const open = async (): Promise<PairPlace> => (opened ??= openPairPlace(t));
  for (const pair of otherPairs) {
    await t.test(`O4: ${titleOf(pair)}`, async (t) => runRound(t, open, { row: "O4", pair }));
  }
  if (opened !== null) assertGuardsSilent((await (opened as Promise<PairPlace>)).postgres);
});
