// O2: PostgreSQL is restored from a copy of mid-sale, by the steps of docs/operating.md, its SQL included.
// v1 and v2 have lost what came after the copy, and sell what is left as a sale of its own; v3 decides
// its log again from the mark in the copy, and everybody has the coupon that they were told of.
//
// Red when the generation is not replaced (the SQL of docs/operating.md left out: v2 writes rows for
// people of whom only Redis knows), when a Redis of another generation counts (step 1 of
// redis/claim.lua), when the decider starts elsewhere than at the mark (`takeOver` in
// kafka/decide-batch.ts), and when it draws the codes (`code` in kafka/claim-line.ts).
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startOnPrivateEngines } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import {
  copyFolder,
  documentedSql,
  finishRestored,
  openSales,
  sellAll,
} from "./support/restored-sale.ts";
import type { At } from "./support/restored-sale.ts";
import { engineMissing, withDatabase } from "./support/sale.ts";

test(
  "O2: PostgreSQL restored from a copy of mid-sale",
  { skip: engineMissing || procMissing },
  async (t) => {
    const at = await startOnPrivateEngines(t);
    const fault = "a copy of PostgreSQL's data of mid-sale is put back after the sale";
    const sales = await openSales(t, at.program, { row: "O2", fault });
    const before = await sellAll(sales, async () => {
      await at.postgres.stop();
      copyFolder(join(at.postgres.folder, "data"), join(at.postgres.folder, "copy"));
      await at.postgres.start();
    });
    await restore(at);
    await finishRestored(at, sales, before);
  },
);

/** The steps of docs/operating.md. */
async function restore({ program, postgres }: At): Promise<void> {
  await program.stop();
  await postgres.stop();
  rmSync(join(postgres.folder, "data"), { recursive: true });
  copyFolder(join(postgres.folder, "copy"), join(postgres.folder, "data"));
  await postgres.start();
  await withDatabase(program, async (client) => client.query(documentedSql()));
  await program.restart();
}
