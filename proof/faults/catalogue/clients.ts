// N: what people do, alone and by the thousands: they claim again and again, hang up, send byte by byte, come
// in greater numbers than there is room for, and watch.
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { rush } from "@stampede/lab";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { marks } from "../marks.ts";
import { MECHANISMS, queues, only } from "../mechanisms.ts";
import type { Places } from "../places.ts";
import { assertAudit, commitsOf, startAudit } from "../support/kafka-audit.ts";
import { readLog } from "../support/kafka-operator.ts";
import { claimTimes } from "../support/pipelined-claims.ts";
import { queueOf, topicOf } from "../support/queue.ts";
import { claimAtOnce, openSale, people, tally } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";
import { hangUpCase } from "./clients-hang-up.ts";
import { slowClientsCase } from "./clients-slow.ts";
import { cutStreamsCase } from "./clients-streams-cut.ts";
import { tooManyCases } from "./clients-too-many.ts";
import { watcherCases } from "./clients-watch.ts";
import { networkCases } from "./network.ts";

type Shared = Stage<Places["shared"]>;

const RUSH = 1_000;
const CLAIMS = 50;
const THRICE = { people: 10_000, times: 3, limit: 100 } as const;
/** v1 needs twenty seconds for them on an idle machine, and turns away whoever waits for sixty. */
const DEADLINE_MS = 120_000;

export const clientCases: readonly FaultCase[] = [
  ...[100, RUSH].map((limit): FaultCase => ({
    // Red when any of the mechanisms answers one person in a thousand wrongly, late or not at all.
    id: "none",
    beside: "spared",
    mechanisms: MECHANISMS,
    apart: true,
    injects: `none: ${RUSH} people at one instant, ${limit} coupons`,
    holds: `exactly ${limit} coupons are issued, and everybody is answered`,
    runs: "proof",
    place: "shared",
    async run(stage) {
      const { url, adminToken, databaseUrl } = stage.at.program;
      const mechanism = only(stage);
      const plan = { url, adminToken, databaseUrl, mechanism, users: RUSH, limit };
      const result = await rush(plan);
      stage.notes(mechanism).judged(result.attempts, result.violations.length);
      assert.deepEqual(result.violations, []);
      assert.deepEqual(result.voidReasons, []);
      assert.equal(result.issuedRows, limit);
    },
  })),
  {
    // N1 is red when "already has one" is not looked at before an issue (`facts.mine` in decideClaim; the
    // member check in redis-counter/claim.lua; the first-record rule in kafka-queue/decider/decide-batch.ts).
    id: "N1",
    mechanisms: MECHANISMS,
    beside: "spared",
    injects: `one person claims ${CLAIMS} times at one instant`,
    holds: "gets one coupon, told as new at most once",
    runs: "test",
    place: "shared",
    run: async (stage) =>
      Promise.all(stage.mechanisms.map(async (mechanism) => claimFifty(stage, mechanism))),
  },
  {
    // The three requests of a person are on the wire before any of them is answered. Red also when a v3
    // batch is decided only as a whole.
    id: "N1",
    mechanisms: MECHANISMS,
    apart: true,
    injects: `${THRICE.people} people claim ${THRICE.times} times each at one instant`,
    holds: `one coupon each, exactly ${THRICE.limit} in all`,
    runs: "proof",
    expects: (mechanism) =>
      queues({ mechanism }) ? [marks.duplicatePerson, marks.batchSplit] : [],
    place: "shared",
    run: claimThrice,
  },
  hangUpCase,
  ...networkCases,
  slowClientsCase,
  ...watcherCases,
  cutStreamsCase,
  ...tooManyCases,
];

async function claimFifty(stage: Shared, mechanism: Sale["mechanism"]): Promise<void> {
  const sale = await openSale(stage.at.program, { mechanism, limit: 10 });
  const [person] = people(1);
  const told = await claimAtOnce(
    sale,
    Array.from({ length: CLAIMS }, () => person!),
  );
  const { issued = 0, replay = 0, queued = 0 } = tally(told);
  assert.equal(issued + replay + queued, CLAIMS, JSON.stringify(tally(told)));
  assert.ok(issued <= 1);
  stage.notes(mechanism).injected(CLAIMS - 1);
  const { rows } = await finish(stage, sale, told, { rows: 1 });
  const codes = told.flatMap(({ code }) => (code === null ? [] : [code]));
  assert.deepEqual([...new Set([rows[0]!.code, ...codes])], [rows[0]!.code]);
}

async function claimThrice(stage: Shared): Promise<void> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: THRICE.limit });
  if (queues(sale)) await startAudit(sale);
  const persons = people(THRICE.people);
  const told = await claimTimes(sale, persons, { times: THRICE.times, deadlineMs: DEADLINE_MS });
  stage.injected(THRICE.people * (THRICE.times - 1));
  stage.t.diagnostic(`${sale.mechanism}: ${JSON.stringify(tally(told))}`);
  assert.equal(told.length, THRICE.people * THRICE.times);
  // On a busy machine some are told that nobody knows, or to come again: that is an answer too.
  const unanswered = told.filter(({ status }) => status === null);
  assert.deepEqual(unanswered.slice(0, 3), [], `${unanswered.length} have no answer`);
  await finish(stage, sale, told);
  if (queues(sale)) await assertLog(stage, sale, told);
}

async function assertLog(stage: Shared, sale: Sale, told: readonly Attempt[]): Promise<void> {
  const log = await readLog(await topicOf(sale));
  const persons = new Set(log.map(({ key }) => key?.toString()));
  if (log.length > persons.size) stage.met(marks.duplicatePerson);
  const last = (await commitsOf(sale)).find(({ rows }) => rows === THRICE.limit);
  const { lastWinningTicket } = await queueOf(sale);
  assert.ok(last !== undefined && lastWinningTicket !== null, JSON.stringify(tally(told)));
  if (last.mark > lastWinningTicket + 1) stage.met(marks.batchSplit);
  await assertAudit(sale, log);
}
