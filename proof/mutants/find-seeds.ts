// Finds another seed where a simulated sale does not show its planted bug any more: faults and persons are
// drawn in another way since. The patch's head is changed in place.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PATCHES } from "./bugs.ts";
import type { PlantedBug, SaleCheck } from "./bugs.ts";
import { runFirstWrongSale, runSaleIn } from "./check.ts";
import { applyPatch } from "./copies.ts";
import { promisesBroken } from "./prove.ts";
import type { Proving } from "./prove.ts";

/** One sentence for each bug; rejects where no seed shows one. */
export async function findSeed(
  { patch, changes, sale }: PlantedBug & { readonly sale: SaleCheck },
  proving: Proving,
): Promise<string> {
  const path = join(PATCHES, patch);
  return proving.copies.lend(changes, async (folder) => {
    const refused = applyPatch(folder, path);
    if (refused !== null) throw new Error(`${patch} does not apply any more: ${refused}`);
    const now = promisesBroken(await runSaleIn(folder, sale, proving));
    if (now.includes(sale.breaks))
      return `${patch}: seed ${sale.seed} still breaks ${sale.breaks}.`;
    const output = await runFirstWrongSale(folder, sale.mechanism, proving);
    const first = /^ {2}the first seed that broke a promise: (?<seed>\d+)$/m.exec(output);
    const seed = Number(first?.groups?.["seed"]);
    if (first === null) throw new Error(`no simulated sale shows ${patch}: ${output}`);
    const broken = promisesBroken(await runSaleIn(folder, { ...sale, seed }, proving));
    const breaks = broken.includes(sale.breaks) ? sale.breaks : broken[0]!;
    const text = readFileSync(path, "utf8")
      .replace(/^Seed: .*$/m, `Seed: ${sale.mechanism} ${seed}`)
      .replace(/^Breaks: .*$/m, `Breaks: ${breaks}`);
    writeFileSync(path, text);
    return `${patch}: seed ${seed} breaks ${breaks}.`;
  });
}
