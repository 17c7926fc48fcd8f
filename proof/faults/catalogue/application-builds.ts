// A12: a rolling deployment. An old build sells on all mechanisms when a newer one joins it on the same
// engines, with other scripts for Redis and a higher schema for Kafka's records. Whoever decides under
// the event's row obeys its lock, both builds alike. Of those who reserve one counts at a time; the newer
// one takes over, and the old one says "not applied". Of those who queue the old decider halts at the
// first record that it does not understand, and the operator lets the new one go on when the old is gone.
//
// Red when `open` does not name the scripts (`stampOf` in redis-counter/scripts.ts; the old build counts on),
// when a build opens what a newer one has opened (`isOthers` there; generations change without end),
// or when a newer schema is taken for a claim or for none (`schema > CLAIM_SCHEMA` in
// kafka-queue/log/claim-codec.ts).
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import { startProgram } from "../../support/program.ts";
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish, noteGoodClaim } from "../finish.ts";
import { MECHANISMS, queues, reserves } from "../mechanisms.ts";
import { assertHalts, HALTED, isAvailable } from "../support/kafka-sale.ts";
import { makeOtherBuild } from "../support/other-build.ts";
import type { Change } from "../support/other-build.ts";
import { redisCommand } from "../support/redis-command.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  tally,
  throughInstance,
  withDatabase,
} from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const LIMIT = 150;
const BEFORE = 30;
/** Come to the old build, once, while the newer one starts. */
const MEANWHILE = 60;
const MEANWHILE_MS = 4_000;
const HERE = 30;
const THERE = 30;
const BOTH_MS = { from: 500, to: 2_000 };
const AFTER = 200;
const REFUSED = "the older build was refused by the newer one's scripts";

const newer: readonly Change[] = [
  {
    file: "infrastructure/src/redis-counter/scripts.ts",
    replace: /SCRIPTS_NUMBER = \d+;/,
    by: "SCRIPTS_NUMBER = 1_000_000;",
  },
  {
    file: "infrastructure/src/redis-counter/claim.lua",
    replace: /^local limit/m,
    by: "-- The next build's.\nlocal limit",
  },
  {
    file: "infrastructure/src/kafka-queue/log/claim-codec.ts",
    replace: /CLAIM_SCHEMA = \d+;/,
    by: "CLAIM_SCHEMA = 1_000_000;",
  },
];

type Selling = { readonly sale: Sale; readonly told: Attempt[] };

export const buildsCase: FaultCase = {
  id: "A12",
  mechanisms: MECHANISMS,
  injects: "a build with other scripts and a higher record schema joins in mid-sale",
  holds: "one of them counts, one of them decides, and nobody is told wrong",
  runs: "all",
  expects(mechanism) {
    if (reserves({ mechanism })) return [REFUSED];
    return queues({ mechanism }) ? [HALTED] : [];
  },
  place: "own",
  async run(stage) {
    const folder = makeOtherBuild(stage.t, newer);
    const old = await startProgram(stage.t);
    const sellings: Selling[] = [];
    for (const mechanism of stage.mechanisms) {
      const sale = await openSale(old, { mechanism, limit: LIMIT });
      sellings.push({ sale, told: await claimAtOnce(sale, people(BEFORE)) });
    }
    const waves = sellings.map(async ({ sale, told }) => {
      told.push(...(await claimAtOnce(sale, people(MEANWHILE), { spreadMs: MEANWHILE_MS })));
    });
    const { databaseUrl } = old;
    // Its own database stays empty and is dropped with it.
    const options = { folder, direct: { databaseUrl } };
    const next = await startProgram(stage.t, { DATABASE_URL: databaseUrl }, options);
    stage.injected();
    await Promise.all(waves);
    const builds = { old, next };
    await Promise.all(sellings.map(async (selling) => sellByBoth(stage, selling, builds)));
    await old.stop();
    await withDatabase(next, async (client) => client.query("UPDATE queues SET halted = NULL"));
    const healedMs = performance.now();
    await Promise.all(
      sellings.map(async ({ sale, told }) => {
        // Everybody who was left claims at the build that stays, and others come.
        const there = throughInstance(sale, next);
        const left = told.filter(({ outcome }) => outcome === "refused" || outcome === "unknown");
        const persons = [...new Set(left.map(({ person }) => person)), ...people(AFTER)];
        const within = { spreadMs: 500, deadlineMs: 20_000 };
        const again = await claimUntilAnswered(there, persons, within);
        noteGoodClaim(stage, sale, again, { healedMs });
        // The referee does not read the next build's records.
        await finish(stage, there, [...told, ...again], { healedMs, except: ["S11"] });
      }),
    );
  },
};

type Builds = { readonly old: Program; readonly next: Program };

async function sellByBoth(stage: Stage, selling: Selling, builds: Builds): Promise<void> {
  const { sale, told } = selling;
  const sinceMs = performance.now();
  if (queues(sale)) {
    await sellTogether(stage, selling, builds);
    const reason = /has schema 1000000: update every decider/;
    told.push(...(await assertHalts(stage, sale, { reason, sinceMs })));
    assert.equal(await isAvailable({ ...sale, program: builds.next }), false);
    return;
  }
  if (reserves(sale)) {
    await oneCounts(stage, selling, builds);
    return;
  }
  const { here, there } = await sellTogether(stage, selling, builds);
  assert.deepEqual(tally(here), { issued: HERE });
  assert.deepEqual(tally(there), { issued: THERE });
}

async function oneCounts(stage: Stage, selling: Selling, builds: Builds): Promise<void> {
  const { sale } = selling;
  // Nobody has claimed there yet: its reconciler takes over.
  await until(async () => (await openIn(sale)).includes(":1000000-"), "the newer build counts");
  const opened = await openIn(sale);
  const { here, there } = await sellTogether(stage, selling, builds);
  assert.deepEqual(tally(there), { issued: THERE });
  assert.deepEqual(tally(here), { refused: HERE }, "certainly not applied");
  const held = await redisCommand(sale.program.redisUrl, "HKEYS", keyOf(sale, "persons"));
  assert.ok(Array.isArray(held));
  assert.ok(!here.some(({ person }) => held.includes(person)), "the old build reserved");
  assert.equal(await openIn(sale), opened, "builds that take over from each other");
  assert.equal(await isAvailable({ ...sale, program: builds.old }), false);
  assert.equal(await isAvailable({ ...sale, program: builds.next }), true);
  stage.notes(sale.mechanism).met(REFUSED);
}

type Together = { readonly here: readonly Attempt[]; readonly there: readonly Attempt[] };

/** Some claim at the old build, others at the newer one, all once and at the same time. */
async function sellTogether(
  { pick }: Pick<Stage, "pick">,
  { sale, told }: Selling,
  { next }: Builds,
): Promise<Together> {
  const spreadMs = pick(BOTH_MS.from, BOTH_MS.to);
  const [here, there] = await Promise.all([
    claimAtOnce(sale, people(HERE), { spreadMs }),
    claimAtOnce(throughInstance(sale, next), people(THERE), { spreadMs }),
  ]);
  told.push(...here, ...there);
  return { here, there };
}

function keyOf({ eventId }: Sale, name: string): string {
  return `stampede:{${eventId}}:${name}`;
}

async function openIn(sale: Sale): Promise<string> {
  return String(await redisCommand(sale.program.redisUrl, "HGET", keyOf(sale, "state"), "open"));
}
