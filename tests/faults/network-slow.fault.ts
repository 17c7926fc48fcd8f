// N3, N5, P12: links that are slow, jittery, that break now and then, or that deliver byte by byte.
// Nothing may be told wrong, and what is broken in the middle of a reply is told as unknown.
//
// Red when a client of an engine takes a part of a reply for the whole, or when a claim that was cut
// off is told as `unavailable` (`runPlain(client, "COMMIT", "unknown")` in postgres/open.ts).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { Attempt, Mechanism } from "@stampede/lab";
import { marksOfAllRows } from "./marks.ts";
import { finishRow, foundTheirRow, startBehindProxies } from "./support/proxy-program.ts";
import type { ProxiedProgram } from "./support/proxy-program.ts";
import { REPLY_MAX } from "./support/proxy.ts";
import type { Trap } from "./support/proxy.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import {
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  tally,
} from "./support/sale.ts";

/** Few for v1: each claim holds its row for five round trips. */
const CROWD = { people: 40, limit: 10, spreadMs: 2_000, deadlineMs: 90_000 };
const SLICED_CROWD = { people: 300, limit: 100, spreadMs: 2_000, deadlineMs: 20_000 };

describe("links that are slow or break", { skip: engineMissing }, () => {
  test("N3: 300 ± 200 ms and a reset now and then to each engine: nothing is wrong", async (t) => {
    const fault = "300 ± 200 ms for a round trip and 1 % resets to each engine";
    const row = faultRow(t, { row: "N3", mechanism: "all", fault });
    const behind = await startBehindProxies(t, row.random);
    const slow = { latencyMs: 150, jitterMs: 100, resetShare: 0.01 };
    const links = enginesOf(behind);
    const told = await sell(t, row, behind, {
      ...CROWD,
      begin: () => links.forEach((link) => link.set(slow)),
    });
    row.injected(links.length);
    const { unknown = 0 } = tally(told);
    t.diagnostic(`INFO: ${unknown} of ${told.length} claims`);
  });

  test("N5: replies come byte by byte, and some are cut in their middle", async (t) => {
    const halved = marksOfAllRows.cutMidBody;
    const fault = "1-byte slices from each engine; COMMIT, EVALSHA, Produce n cut after 3 bytes";
    const row = faultRow(t, { row: "N5", mechanism: "all", fault, expects: [halved] });
    const behind = await startBehindProxies(t);
    const traps: Trap[] = [];
    const told = await sell(t, row, behind, {
      ...SLICED_CROWD,
      begin() {
        for (const link of enginesOf(behind)) {
          link.set({ sliceBytesMax: 1 });
          traps.push(link.cutReply(row.pick(1, REPLY_MAX), 3));
        }
      },
    });
    for (const trap of traps) assert.ok(trap.isSprung(), "the fault never happened");
    row.injected(traps.length);
    for (const _ of traps) row.met(halved);
    t.diagnostic(`${foundTheirRow(told).length} found their own row after it`);
  });

  test("P12: 300 ms per statement: slow, never wrong", async (t) => {
    const fault = "300 ms more for each statement";
    const row = faultRow(t, { row: "P12", mechanism: "all", fault });
    const behind = await startBehindProxies(t);
    const told = await sell(t, row, behind, {
      ...CROWD,
      begin: () => behind.postgres.set({ latencyMs: 150 }),
    });
    row.injected();
    // In v1 some people's own patience ends before their turn; the service never gives up a COMMIT.
    const lost = told.filter(({ outcome, status }) => outcome === "unknown" && status !== null);
    assert.deepEqual(lost, [], "slow is not lost");
  });
});

type Selling = typeof CROWD & { readonly begin: () => void };

/** One sale per mechanism while `begin`'s fault lasts; then healed, finished and judged. */
async function sell(
  t: TestContext,
  row: Row,
  behind: ProxiedProgram,
  { people: count, limit, spreadMs, deadlineMs, begin }: Selling,
): Promise<readonly Attempt[]> {
  const open = async (mechanism: Mechanism): ReturnType<typeof openSale> =>
    openSale(behind.program, { mechanism, limit });
  const sales = await Promise.all(MECHANISMS.map(open));
  begin();
  const told = await Promise.all(
    sales.map(async (sale) => claimUntilAnswered(sale, people(count), { spreadMs, deadlineMs })),
  );
  for (const link of enginesOf(behind)) link.heal();
  const healedMs = performance.now();
  for (const [n, { mechanism }] of sales.entries()) {
    t.diagnostic(`${mechanism}: ${JSON.stringify(tally(told[n]!))}`);
  }
  await Promise.all(sales.map(async (sale, n) => finishRow(row, sale, told[n]!, healedMs)));
  return told.flat();
}

function enginesOf({ postgres, redis, kafka }: ProxiedProgram): ProxiedProgram["postgres"][] {
  return [postgres, redis, kafka];
}
