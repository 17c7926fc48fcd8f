// A8: the leading one of two instances is stopped with every event's row locked, and wakes up again
// (support/paused-instance.ts). The row wants 10 s, as in application-paused.fault.ts; here it is 6 s,
// longer than every timeout of ours that ends a silent session.
//
// Red when a transaction may be idle without end (`idle_in_transaction_session_timeout` in
// postgres/open.ts), when a statement may wait for longer than that (the stopped instance's next session
// in line then gets the row and holds it as long again), or when a silent leader stays one
// (`idle_session_timeout` in postgres/leadership.ts).
import { test } from "node:test";
import { sellWhilePaused } from "./support/paused-instance.ts";
import { procMissing } from "./support/processes.ts";
import { engineMissing } from "./support/sale.ts";

const skip = engineMissing || procMissing;

test(
  "A8: the leading instance is stopped in mid-transaction, and wakes up again",
  { skip },
  async (t) => {
    await sellWhilePaused(t, { row: "A8", stoppedMs: 6_000 });
  },
);
