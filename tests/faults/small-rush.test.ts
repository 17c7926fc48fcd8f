// A whole sale without a fault, on each mechanism: the rush of `npm run rush` in small, judged by the
// lab. Red when any of the mechanisms answers one person in a thousand wrongly, late or not at all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rush } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import { faultRow } from "./support/row.ts";
import { engineMissing, MECHANISMS } from "./support/sale.ts";

const users = 1_000;

test("a thousand people at one instant", { skip: engineMissing }, async (t) => {
  const program = await startProgram(t);
  for (const mechanism of MECHANISMS) {
    for (const limit of [100, users]) {
      await t.test(
        `${mechanism}: issue exactly ${limit} coupons, and everybody is answered`,
        async (t) => {
          const fault = `none: ${users} people at one instant, ${limit} coupons`;
          const row = faultRow(t, { row: "none", mechanism, fault });
          const { url, adminToken, databaseUrl } = program;
          const plan = { url, adminToken, databaseUrl, mechanism, users, limit };
          const result = await rush(plan);
          row.judged(result.attempts, result.violations.length);
          assert.deepEqual(result.violations, []);
          assert.deepEqual(result.unclean, []);
          assert.equal(result.issuedRows, limit);
        },
      );
    }
  }
});
