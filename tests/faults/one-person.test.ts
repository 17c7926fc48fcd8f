// N1: one person claims fifty times at one instant, on each mechanism.
//
// Red when "already has one" is not looked at before an issue (`facts.mine` in decideClaim; the
// member check in redis/claim.lua; the first-record rule in kafka/decide-batch.ts).
import assert from "node:assert/strict";
import { test } from "node:test";
import { startProgram } from "../support/program.ts";
import { faultRow } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  tally,
  unsettled,
  verdict,
} from "./support/sale.ts";

const CLAIMS = 50;

test("one person who claims fifty times at once", { skip: engineMissing }, async (t) => {
  const program = await startProgram(t);
  for (const mechanism of MECHANISMS) {
    await t.test(`${mechanism}: gets one coupon, told as new at most once`, async (t) => {
      const fault = `one person claims ${CLAIMS} times at one instant`;
      const row = faultRow(t, { row: "N1", mechanism, fault });
      const sale = await openSale(program, { mechanism, limit: 10 });
      const [person] = people(1);
      const claims = await claimAtOnce(
        sale,
        Array.from({ length: CLAIMS }, () => person!),
      );
      const { issued = 0, replay = 0, queued = 0 } = tally(claims);
      assert.equal(issued + replay + queued, CLAIMS, JSON.stringify(tally(claims)));
      assert.ok(issued <= 1);
      row.injected(CLAIMS - 1);
      const asked = await askEverybody(sale, claims);
      assert.deepEqual(unsettled(asked), []);
      const { violations, stored } = await verdict(sale, [...claims, ...asked]);
      row.judged(claims, violations.length);
      assert.deepEqual(violations, []);
      assert.equal(stored.rows.length, 1);
      const codes = [...claims, ...asked].flatMap(({ code }) => (code === null ? [] : [code]));
      assert.deepEqual([...new Set(codes)], [stored.rows[0]!.code]);
    });
  }
});
