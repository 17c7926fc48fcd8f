// The referee against the definition of right. Small histories (a million of them in npm run proof) are
// judged twice: by the six
// conditions, and by trying every order. They must agree on all. Red when any condition is weakened:
// each of them must have been the only one to object, many times.
//
// REFEREE_SEED and REFEREE_HISTORIES choose other histories, or more of them.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { judge, type OrderCondition } from "@stampede/referee";
import { isLinearizable } from "./support/linearizable.ts";
import { smallHistory, type SmallHistory } from "./support/small-histories.ts";

const { REFEREE_SEED, REFEREE_HISTORIES } = process.env;
const seed = Number(REFEREE_SEED ?? randomInt(0x7fff_ffff));
const count = Number(REFEREE_HISTORIES ?? 50_000);
const conditions: readonly OrderCondition[] = [1, 2, 3, 4, 5, 6];
/** Of a million; the rarest is met some thousand times. */
const aloneShareMin = 0.0005;

test("the referee and brute force agree on every small history", (t) => {
  t.diagnostic(`seed ${seed}: REFEREE_SEED=${seed} npm test -- --engines=none ${file}`);
  const alone = new Map(conditions.map((condition) => [condition, 0]));
  let right = 0;
  let wrong = 0;
  for (let index = 0; index < count; index++) {
    const small = smallHistory(seed, index);
    const broken = conditionsBroken(small);
    const legal = isLinearizable(small.event.limit, small.history, small.rows);
    if (legal !== (broken.size === 0)) assert.fail(disagreement(index, small, legal));
    if (legal) right += 1;
    else wrong += 1;
    if (broken.size === 1) for (const one of broken) alone.set(one, alone.get(one)! + 1);
  }
  const each = [...alone].map(([condition, times]) => `${condition}: ${times}`).join(", ");
  t.diagnostic(`${count} histories, ${right} right and ${wrong} wrong; 0 disagreements`);
  t.diagnostic(`broken conditions that nothing else would have found: ${each}`);
  assert.ok(right > count / 4 && wrong > count / 4, "both kinds have to be met");
  for (const [condition, times] of alone) {
    assert.ok(
      times > count * aloneShareMin,
      `condition ${condition} was needed ${times} times only`,
    );
  }
});

const file = "referee/test/referee-brute-force.test.ts";

function conditionsBroken({ event, history, rows }: SmallHistory): Set<OrderCondition> {
  const broken = new Set<OrderCondition>();
  for (const { condition } of judge({ history, events: [event], rows })) {
    if (condition !== null) broken.add(condition);
  }
  return broken;
}

function disagreement(
  index: number,
  { event, history, rows }: SmallHistory,
  legal: boolean,
): string {
  const findings = judge({ history, events: [event], rows });
  const lines = [
    `History ${index} of seed ${seed}: brute force says ${legal ? "right" : "wrong"}, the referee`,
    findings.length === 0 ? "finds nothing." : "finds:",
    ...findings.map(
      ({ invariant, condition, detail }) => `  ${invariant} (${condition}): ${detail}`,
    ),
    `limit ${event.limit}`,
    ...history.map(
      ({ person, kind, sentMs, returnedMs, outcome, seq }) =>
        `  ${person} ${kind} [${sentMs}, ${returnedMs}] ${outcome} ${seq ?? ""}`,
    ),
    ...rows.map(({ seq, userId, code }) => `  row ${seq} ${userId} ${code}`),
    `Again: REFEREE_SEED=${seed} REFEREE_HISTORIES=${index + 1} npm test -- --engines=none ${file}`,
  ];
  return lines.join("\n");
}
