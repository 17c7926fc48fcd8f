// N4: the link to an engine swallows everything, no FIN, for six seconds in the middle of three sales,
// one per mechanism (`npm run soak` repeats it; SECONDS=30 makes it as long as the matrix's soak).
//
// Red when a statement has no deadline (`query_timeout` in postgres/open.ts), a command none
// (`withDeadline` in redis/open.ts), or when a connection whose answer is missing goes back into the
// pool (`broken` in `releasing`): the next claim would wait on it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { EngineName } from "@stampede/infrastructure/embedded";
import type { Attempt, Mechanism } from "@stampede/lab";
import { finishRow, firstGoodMs, startBehindProxies } from "./support/proxy-program.ts";
import { faultRow } from "./support/row.ts";
import {
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  tally,
} from "./support/sale.ts";

const AWAY_MS = Number(process.env["SECONDS"] ?? 6) * 1_000;
const PEOPLE = 240;
const LIMIT = 200;
const BEFORE_MS = 500;
/** They come before, during and after it. */
const SPREAD_MS = AWAY_MS + 2 * BEFORE_MS;
const DEADLINE_MS = SPREAD_MS + 20_000;
/** No request may last longer: the longest bound of the service is 8 s for a row. */
const ANSWER_MS_MAX = 12_000;
/** Who waited for as long met the black hole. */
const WAITED_MS = 1_000;
const L3_MS_MAX = { postgres: 5_000, redis: 2_000, kafka: 15_000 } as const;

/** Which mechanisms cannot serve without the engine; the others must not notice. */
const needs: Readonly<Record<EngineName, readonly Mechanism[]>> = {
  postgres: ["row-lock", "redis-counter"],
  redis: ["redis-counter"],
  kafka: ["kafka-queue"],
};

describe("a link that swallows everything in mid-sale", { skip: engineMissing }, () => {
  for (const engine of ["postgres", "redis", "kafka"] as const) {
    test(`N4 ${engine}: every answer is bounded, and all goes on when it is back`, async (t) => {
      await blackhole(t, engine);
    });
  }
});

async function blackhole(t: TestContext, engine: EngineName): Promise<void> {
  const bounded = `claims met the black hole before ${engine}`;
  const fault = `the link to ${engine} swallows everything for ${AWAY_MS / 1_000} s, no FIN`;
  const row = faultRow(t, { row: "N4", mechanism: "all", fault, expects: [bounded] });
  const behind = await startBehindProxies(t);
  const proxy = behind[engine];
  const sales = await Promise.all(
    MECHANISMS.map(async (mechanism) => openSale(behind.program, { mechanism, limit: LIMIT })),
  );
  const crowds = sales.map(async (sale) =>
    claimUntilAnswered(sale, people(PEOPLE), { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS }),
  );
  // The moment and the fault are lengths of time, not waits for something.
  await pause(row.pick(BEFORE_MS / 2, BEFORE_MS));
  proxy.set({ blackhole: true });
  await pause(AWAY_MS);
  const healedMs = performance.now();
  proxy.heal();
  row.injected();
  const told = await Promise.all(crowds);
  const ends = sales.map(async (sale, n) => {
    const attempts = told[n]!;
    const affected = needs[engine].includes(sale.mechanism);
    judgeAnswers(attempts, { affected, name: `${sale.mechanism} without ${engine}` });
    if (affected) {
      row.met(bounded);
      const backMs = firstGoodMs(attempts, healedMs);
      row.recovered("L3", backMs);
      assert.ok(backMs < L3_MS_MAX[engine], `L3: ${sale.mechanism} after ${backMs} ms`);
    }
    const answeredMs = Math.max(...attempts.map(({ returnedMs }) => returnedMs));
    await finishRow(row, sale, attempts, Math.max(healedMs, answeredMs));
  });
  await Promise.all(ends);
}

function judgeAnswers(
  attempts: readonly Attempt[],
  { affected, name }: { readonly affected: boolean; readonly name: string },
): void {
  const { refused = 0, unknown = 0 } = tally(attempts);
  // On a busy machine v1's claims may all wait in line until the link is back, and then be served.
  const waited = attempts.some(({ sentMs, returnedMs }) => returnedMs - sentMs > WAITED_MS);
  if (affected) assert.ok(refused + unknown > 0 || waited, `${name}: nobody met the fault`);
  else assert.equal(refused + unknown, 0, `${name} must not notice: ${refused + unknown} did`);
  const slow = attempts.filter(({ sentMs, returnedMs }) => returnedMs - sentMs > ANSWER_MS_MAX);
  assert.deepEqual(slow, [], `${name}: every answer is bounded`);
  const other = attempts.filter(
    ({ status }) => ![200, 201, 202, 409, 503].includes(Number(status)),
  );
  assert.deepEqual(other, [], `${name}: every request has an answer, and none is a 500`);
}
