// P6 and the whole of A8: the leading one of two instances is stopped between two statements of every
// event's transaction, for ten seconds (support/paused-instance.ts). Red as application-paused.test.ts.
import { test } from "node:test";
import { sellWhilePaused } from "./support/paused-instance.ts";
import { procMissing } from "./support/processes.ts";
import { engineMissing } from "./support/sale.ts";

const skip = engineMissing || procMissing;

test("P6: a row whose holder sleeps is free within five seconds", { skip }, async (t) => {
  await sellWhilePaused(t, { row: "P6", stoppedMs: 10_000 });
});
