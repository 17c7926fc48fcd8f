// Section 7 of docs/guarantees.md on the real program: requests that a machine makes up, thousands of
// them, none of which may change anything. A 5xx, silence for five seconds, an answer that is no
// problem or repeats what was sent, a process that ended, a state that changed: each fails with its
// seed and, shrunk, the requests that did it.
//
//   STAMPEDE_TEST_MINUTES=180 BAD_INPUTS=2000000 npm test -- proof/inputs/bad-input-generated.test.ts
//   BAD_INPUTS_SEED=7 ...                                 the same requests again
//
// Red when a route answers what it was sent (`frameworkErrors` in app.ts), when a claim's body is not
// looked at (`refuseClaimBody`: the state changes), when the parser's errors are left to Node
// (`clientErrorHandler`: no problem), or when a cursor beyond the column reaches PostgreSQL
// (`Math.min(after, SEQ_MAX)` in rows/event-store.ts: 500).
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { fromDescription } from "./generated-requests.ts";
import type { MadeRequest, OpenApi, Sales } from "./generated-requests.ts";
import { fromBytes } from "./mutated-requests.ts";
import { openLane } from "../faults/support/raw-lane.ts";
import { answersIn, askAnything } from "../faults/support/raw-answers.ts";
import type { Answer } from "../faults/support/raw-answers.ts";
import { until } from "@stampede/launcher/testing";
import {
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  withDatabase,
} from "../faults/support/sale.ts";
import { stateOf } from "../faults/support/state-hash.ts";

const REQUESTS = Number(process.env["BAD_INPUTS"] ?? 20_000);
const SEED = Number(process.env["BAD_INPUTS_SEED"] ?? randomInt(2 ** 31));
/** The state is compared once for each batch; a wrong one shrinks to what it takes. */
const BATCH_MAX = 300;
const RUNS_A_ROUND = 10;
const LANES = 8;

test(`${REQUESTS} generated requests`, { skip: engineMissing() }, async (t) => {
  t.diagnostic(`the same again: BAD_INPUTS_SEED=${SEED}`);
  const program = await startProgram(t);
  const sales = await openSales(program);
  const document: unknown = await (await fetch(`${program.url}/openapi.json`)).json();
  const request = fc.oneof(
    { weight: 3, arbitrary: fromDescription(document as OpenApi, sales) },
    { weight: 2, arbitrary: fromBytes(sales) },
  );
  const batch = fc.array(request, { minLength: 1, maxLength: BATCH_MAX, size: "max" });
  const before = await stateOf(program);
  const statuses = new Map<number, number>();
  let sent = 0;
  const property = fc.asyncProperty(batch, async (requests) => {
    for (const { status } of await askAll(program, requests)) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    sent += requests.length;
    const answer = await fetch(`${program.url}/healthz`, { signal: AbortSignal.timeout(5_000) });
    assert.equal(answer.status, 200);
    assert.deepEqual(await stateOf(program), before);
  });
  for (let round = 0; ; round += 1) {
    await fc.assert(property, { seed: SEED + round, numRuns: RUNS_A_ROUND });
    if (sent >= REQUESTS) break;
  }
  const counts = [...statuses].sort(([one], [other]) => one - other);
  t.diagnostic(`${sent} requests: ${counts.map((pair) => pair.join(" x ")).join(", ")}`);
  // A generator whose requests all fail at the first hurdle would prove nothing.
  for (const status of [200, 400, 401, 404, 405, 409, 412, 413, 415]) {
    assert.ok((statuses.get(status) ?? 0) > 0, `no ${status} among the answers`);
  }
});

async function openSales(program: Program): Promise<Sales> {
  const open: string[] = [];
  const soldOut: string[] = [];
  for (const mechanism of MECHANISMS) {
    open.push((await openSale(program, { mechanism, limit: 5 })).eventId);
    const sale = await openSale(program, { mechanism, limit: 1 });
    soldOut.push(sale.eventId);
    await claimAtOnce(sale, ["holder"]);
    await until(async () => {
      const [attempt] = await claimAtOnce(sale, ["loser"]);
      return attempt?.outcome === "sold-out";
    }, "it is sold out, and known to be");
  }
  // Records of the last event behind its last coupon may still be undecided.
  await until(async () => {
    const metrics = await (await fetch(`${program.url}/metrics`)).text();
    return withDatabase(program, async (client) => {
      const { rows } = await client.query(
        "SELECT 1 FROM queues q JOIN events e ON e.id = q.event_id WHERE e.issued > 0 AND q.epoch = 0",
      );
      return rows.length === 0 && /^stampede_decider_lag_tickets 0$/m.test(metrics);
    });
  }, "the decider has decided every queue that has claims");
  const byVersion = ([v1, v2, v3]: readonly string[]): Sales["open"] => {
    return { v1: v1!, v2: v2!, v3: v3! };
  };
  return { open: byVersion(open), soldOut: byVersion(soldOut), token: program.adminToken };
}

/** Several at once, in this order within a lane; gives all answers that came. */
async function askAll(program: Program, requests: readonly MadeRequest[]): Promise<Answer[]> {
  const waiting = requests.values();
  const answers: Answer[] = [];
  const work = async (): Promise<void> => {
    using lane = openLane(program.url);
    for (const request of waiting) {
      const bytes = Buffer.from(request.text, "latin1");
      const told = request.framed
        ? [await lane.ask(bytes)]
        : answersIn(await askAnything(program.url, bytes));
      for (const answer of told) check(answer, request);
      answers.push(...told);
    }
  };
  await Promise.all(Array.from({ length: LANES }, work));
  return answers;
}

function check({ status, head, body }: Answer, { text }: MadeRequest): void {
  const story = `${JSON.stringify(text)} was answered ${head}\n${body}`;
  assert.ok(status < 500, story);
  if (status < 400) return;
  assert.match(head, /^content-type: application\/problem\+json/im, story);
  for (const inside of ["node_modules", "    at ", "SELECT", "INSERT", "MARK"]) {
    assert.ok(!head.includes(inside) && !body.includes(inside), story);
  }
  if (text.startsWith("HEAD ")) return;
  assert.equal(JSON.parse(body).status, status, story);
}
