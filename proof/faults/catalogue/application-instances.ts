// A5, A8, A11, P6: of two instances one is stopped or killed; and the service is killed when all rows are
// committed and Redis has not heard of it.
//
// A8 and P6 are red when a transaction may be idle without end (`idle_in_transaction_session_timeout` in
// engines/postgres/open.ts), when a statement may wait for longer than that (the stopped instance's next
// session in line then gets the row and holds it as long again), or when a silent leader stays one
// (`LEADER_SETTINGS` in engines/postgres/settings.ts). A11 when the decider's or the reconciler's duty is
// not taken over (there too), A5 when the reconciler does not finish what others have sold (`generations.finish`).
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { until } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { assertGuardsSilent } from "../course.ts";
import type { Course, FaultSale } from "../course.ts";
import { finish } from "../finish.ts";
import { marksOfAllCases } from "../marks.ts";
import { decidesInRow, MECHANISMS, REDIS_MECHANISMS, only } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { PrivatePlace } from "../places.ts";
import { withWritesHeld } from "../support/held-row.ts";
import { continueTree, stopTree } from "../support/processes.ts";
import { keysOf, redisCommand } from "../support/redis-command.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  readStored,
  tally,
  throughInstance,
} from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const paused = (id: string, stoppedMs: number) =>
  ({
    id,
    mechanisms: MECHANISMS,
    injects: `SIGSTOP of the leading instance with every event's row locked, SIGCONT after ${stoppedMs} ms`,
    holds: "the row is free within five seconds, and the other instance sells on",
    needs: ["proc"],
    place: "two instances",
    // It waits for its own writers: nobody else may write then.
    beside: "still",
    course: pausing(stoppedMs),
  }) as const;

/** Longer than every timeout of ours that ends a silent session; P6 is as long as the matrix wants it. */
export const sleepingHolderCase: FaultCase = { ...paused("P6", 10_000), runs: "all" };

export const instanceCases: readonly FaultCase[] = [
  {
    id: "A5",
    mechanisms: REDIS_MECHANISMS,
    apart: true,
    injects: "SIGKILL of the service after the last commit, before Redis has forgotten the sale",
    holds: "the next start makes it forget, and everybody gets their answer",
    runs: "all",
    needs: ["proc"],
    expects: [marksOfAllCases.finishedByNext],
    place: "private",
    run: killBeforeForgotten,
  },
  { ...paused("A8", 6_000), runs: "proof" },
  {
    id: "A11",
    mechanisms: MECHANISMS,
    injects: "one of two instances is killed every two seconds and started again",
    holds: "the other one serves",
    runs: "all",
    needs: ["proc"],
    place: "two instances",
    run: killInTurn,
  },
];

/** Come to the other instance meanwhile. */
const PEOPLE_THERE = 40;
/** A row that a silent session holds is free again this soon. */
const FREED_MS_MAX = 5_000;

function pausing(stoppedMs: number): Course<PrivatePlace> {
  return {
    async inject({ at, sales, begins, ends }) {
      const injectedMs = await withWritesHeld(at.program, sales.length, async () => {
        stopTree(at.program.pid);
        begins();
        return performance.now();
      });
      const stored = await Promise.all(sales.map(async ({ sale }) => readStored(sale)));
      const crowds = sales.map(async (one) => claimThere(one, at.others[0]!, stoppedMs));
      await Promise.all(
        sales.map(async ({ sale }, n) => goesOn(sale, stored[n]!.issued, injectedMs)),
      );
      await pause(Math.max(0, stoppedMs - (performance.now() - injectedMs)));
      continueTree(at.program.pid);
      ends();
      await Promise.all(crowds);
    },
    after(sold) {
      for (const { sale, told, injectedMs } of sold) {
        const held = told.filter(
          ({ sentMs, instance }) => sentMs < injectedMs && instance === sale.target.authority,
        );
        happened(held.length > 0, `${sale.mechanism}: no claim was in flight`);
      }
    },
  };
}

async function claimThere({ sale, told }: FaultSale, there: Program, ms: number): Promise<void> {
  const within = { spreadMs: ms, deadlineMs: 4 * ms };
  const elsewhere = throughInstance(sale, there);
  told.push(...(await claimUntilAnswered(elsewhere, people(PEOPLE_THERE), within)));
}

/** A row is freed by PostgreSQL, and rows are written by whoever is awake. */
async function goesOn(sale: Sale, issuedBefore: number, sinceMs: number): Promise<void> {
  await until(
    async () => (await readStored(sale)).issued > issuedBefore,
    `${sale.mechanism}: the other instance writes rows`,
  );
  const ms = performance.now() - sinceMs;
  if (decidesInRow(sale)) assert.ok(ms < FREED_MS_MAX, `the row was held for ${ms} ms`);
}

const KILLS = 6;
const EVERY_MS = 2_000;
const PEOPLE_A_WAVE = 40;
const LIMIT = 300;
const CROWD_AFTER = 200;

async function killInTurn(stage: Stage<PrivatePlace>): Promise<void> {
  const { at } = stage;
  const instances = [at.program, at.others[0]!];
  const sales: FaultSale[] = [];
  for (const mechanism of stage.mechanisms) {
    sales.push({ sale: await openSale(at.program, { mechanism, limit: LIMIT }), told: [] });
  }
  for (let kill = 0; kill < KILLS; kill += 1) {
    const [victim, survivor] = [instances[kill % 2]!, instances[(kill + 1) % 2]!];
    const startMs = performance.now();
    const waves = sales.map(async (one) => {
      const { unknown = 0 } = tally(await wave(one, survivor));
      assert.equal(unknown, 0, `${one.sale.mechanism}: at the instance that lives`);
    });
    const cut = sales.map(async (one) => wave(one, victim));
    await pause(EVERY_MS / 4);
    await victim.kill();
    stage.injected();
    await Promise.all([...waves, ...cut]);
    await victim.restart();
    await pause(Math.max(0, EVERY_MS - (performance.now() - startMs)));
  }
  for (const { sale, told } of sales) {
    const healedMs = performance.now();
    const left = told.filter(({ outcome }) => outcome === "unknown" || outcome === "refused");
    const again = [...new Set(left.map(({ person }) => person)), ...people(CROWD_AFTER)];
    await finish(stage, sale, [...told, ...(await claimAtOnce(sale, again))], { healedMs });
  }
  assertGuardsSilent(at.postgres);
}

async function wave({ sale, told }: FaultSale, program: Program): ReturnType<typeof claimAtOnce> {
  const spread = { spreadMs: EVERY_MS / 2 };
  const there = throughInstance(sale, program);
  const attempts = await claimAtOnce(there, people(PEOPLE_A_WAVE), spread);
  told.push(...attempts);
  return attempts;
}

async function killBeforeForgotten(stage: Stage<PrivatePlace>): Promise<void> {
  const { program, redis } = stage.at;
  const limit = 50;
  const sale = await openSale(program, { mechanism: only(stage), limit });
  const persons = `stampede:{${sale.eventId}}:persons`;
  const crowd = people(2 * limit);
  const { claims } = await withWritesHeld(program, 0, async () => {
    const claims = claimAtOnce(sale, crowd);
    const held = async (): Promise<unknown> => redisCommand(redis.url, "HLEN", persons);
    await until(async () => (await held()) === limit, "all is reserved");
    redis.freeze();
    return { claims };
  });
  await until(async () => (await readStored(sale)).issued === limit, "all is committed");
  await program.kill();
  redis.thaw();
  stage.injected();
  const told = [...(await claims)];
  assert.equal(await redisCommand(redis.url, "HLEN", persons), limit);
  await program.restart();
  const startedMs = performance.now();
  const isForgotten = async (): Promise<boolean> =>
    (await keysOf(redis.url, sale.eventId)).length === 0;
  await until(isForgotten, "Redis has forgotten it");
  stage.notes(sale.mechanism).recovered("L4", performance.now() - startedMs);
  stage.met(marksOfAllCases.finishedByNext);
  const again = await claimAtOnce(sale, crowd);
  const { replay = 0, "sold-out": soldOut = 0 } = tally(again);
  assert.deepEqual({ replay, soldOut }, { replay: limit, soldOut: limit });
  await finish(stage, sale, [...told, ...again]);
}
