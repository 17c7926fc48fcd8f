// O2: PostgreSQL is restored from a copy of mid-sale, by the steps of docs/operating.md, its SQL included.
// P11: it fails over to an asynchronous standby that is behind. v1 and v2 have lost what came after that state,
// and sell what is left as a sale of its own, Redis rebuilt from the rows; v3 decides its log again from the mark,
// and everybody has the coupon that they were told of.
//
// Red when the generation is not replaced (the SQL of docs/operating.md left out: v2 writes rows for
// people of whom only Redis knows), when a Redis of another generation counts (step 1 of
// redis-counter/claim.lua), when the decider starts elsewhere than at the mark (`takeOver` in
// kafka-queue/decider/decide-batch.ts), and when it draws the codes (`codeOf` in
// kafka-queue/decider/coupon-codes.ts).
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { FaultCase } from "../case.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { ask, startStandby } from "../support/postgres-standby.ts";
import type { Standby } from "../support/postgres-standby.ts";
import {
  copyFolder,
  documentedSql,
  finishRestored,
  LOST,
  openSales,
  sellAll,
} from "../support/restored-sale.ts";
import type { At } from "../support/restored-sale.ts";
import { withDatabase } from "../support/sale.ts";

const restoring = {
  mechanisms: MECHANISMS,
  runs: "all",
  needs: ["proc"],
  expects: [LOST],
  // The data of all that was sold before would have to be copied.
  fresh: true,
} as const;

export const restoredCase: FaultCase = {
  ...restoring,
  place: "private",
  beside: "lost",
  id: "O2",
  injects: "a copy of PostgreSQL's data of mid-sale is put back after the sale",
  holds: "what is left is a sale of its own, and who queued has the coupon that they were told of",
  async run(stage) {
    const { at } = stage;
    const sales = await openSales(stage, at.program);
    const before = await sellAll(sales, async () => {
      await at.postgres.stop();
      copyFolder(join(at.postgres.folder, "data"), join(at.postgres.folder, "copy"));
      await at.postgres.start();
    });
    await restore(at);
    await finishRestored(stage, at, sales, before);
  },
};

export const standbyCase: FaultCase = {
  ...restoring,
  place: "private",
  beside: "lost",
  id: "P11",
  injects: "a standby that was cut off in mid-sale takes the place of PostgreSQL",
  holds: "as after the restore of an older copy",
  async run(stage) {
    const { at } = stage;
    const standby = await startStandby(stage.t, at.postgres);
    const sales = await openSales(stage, at.program);
    const before = await sellAll(sales, async () => {
      await standby.untilEven();
      standby.link.set({ blackhole: true });
    });
    await failOver(at, standby);
    await finishRestored(stage, at, sales, before);
  },
};

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

/** The steps of docs/operating.md; the standby gets the primary's address. */
async function failOver({ program, postgres }: At, standby: Standby): Promise<void> {
  await program.stop();
  await postgres.kill();
  await ask(standby.engine.url, "SELECT pg_promote()");
  await standby.engine.stop();
  rmSync(join(postgres.folder, "data"), { recursive: true });
  renameSync(join(standby.folder, "data"), join(postgres.folder, "data"));
  await postgres.start();
  await withDatabase(program, async (client) => client.query(documentedSql()));
  await program.restart();
}
