// R4, R11: Redis fails over to a replica that is a second behind, so that reservations are lost which
// Redis had acknowledged; and the old primary answers again where one of two instances still asks it.
// v1 and v3 notice nothing.
//
// Red when what a replica or an old primary knows is trusted: without the run and the scripts in what
// `open` must be (`openedBy` in redis/scripts.ts), neither server is closed and rebuilt. Nobody is told
// wrong even then, since the rows decide; a generation only keeps Redis from counting in vain.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import type { Program } from "../support/program.ts";
import { whileRowHeld } from "./support/held-row.ts";
import { startOnPrivateEngines } from "./support/private-engines.ts";
import type { PrivateEngine, PrivateEngines } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { finishRow, firstGoodMs } from "./support/proxy-program.ts";
import { startProxy } from "./support/proxy.ts";
import type { FaultProxy } from "./support/proxy.ts";
import { redisCommand } from "./support/redis-command.ts";
import { startReplica } from "./support/redis-replica.ts";
import type { Replica } from "./support/redis-replica.ts";
import { faultRow } from "./support/row.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  readStored,
  throughInstance,
  until,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";
import { assertOthersNoticeNothing, sellUnderFault } from "./support/sale-under-fault.ts";
import type { FaultSale } from "./support/sale-under-fault.ts";
import { counted } from "./support/service-state.ts";

/** How far the replica is behind when it is promoted. */
const BEHIND_MS = 1_000;
/** How long the old primary answers one of two instances, at least; longer until both were rebuilt. */
const SPLIT_MS = 4_000;
const SPLIT_MS_MAX = 12_000;
const LOOK_EVERY_MS = 100;
/** Long enough that the sale is not over before Redis is lost, or two servers differ. */
const LONG = { limit: 400, people: 600, spreadMs: 7_000 };
const LONG_ON_TWO = { limit: 700, people: 700, spreadMs: 7_000 };
const PEOPLE_THERE = 240;
const SOME = 40;
const GOOD_CLAIM_MS_MAX = 2_000;
const REBUILDS = 'stampede_recoveries_total{kind="redis-rebuild"}';

const skip = engineMissing || procMissing;

test(
  "R4: a replica that is a second behind is promoted: what it does not know has its row",
  { skip },
  async (t) => {
    const at = await startBeforeReplica(t, 1);
    const proxy = at.proxies[0]!;
    let lost: readonly string[] = [];
    const sold = await sellUnderFault(t, at, {
      ...LONG,
      row: "R4",
      fault: "SIGKILL of Redis; its replica, cut off for 1 s, takes its place",
      mechanisms: MECHANISMS,
      expects: ["a lost reservation has its row"],
      goodClaimMsMax: GOOD_CLAIM_MS_MAX,
      async inject(sales, passBy) {
        const { sale, row } = counterOf(sales);
        await at.replica.untilEven();
        const injectedMs = performance.now();
        at.replica.cutOff();
        // While another session has the row, nobody's reservation becomes one.
        lost = await whileRowHeld(sale, async () => {
          await Promise.all([passBy(), pause(BEHIND_MS)]);
          return lostWith(at, sale);
        });
        proxy.pointTo(at.replica.port);
        // By chance the service meets the replica before its promotion, and is told that it only reads.
        const early = row.pick(0, 1) === 1;
        if (early) await until(() => proxy.connections() > 0, "the service has found the replica");
        await at.replica.promote();
        return { injectedMs, healedMs: performance.now() };
      },
    });
    assertOthersNoticeNothing(sold);
    const { rows } = await readStored(counterOf(sold).sale);
    // Its owner lives and writes it, whatever Redis has forgotten.
    if (rows.some(({ userId }) => lost.includes(userId)))
      met(sold, "a lost reservation has its row");
    assert.ok((await counted(at.program, REBUILDS)) > 0, "rebuilt from the rows");
  },
);

test(
  "R4: the service dies with the primary: a reservation that nobody knows of is claimable again",
  { skip },
  async (t) => {
    const again = "a lost reservation was claimable again";
    const row = faultRow(t, {
      row: "R4",
      mechanism: "redis-counter",
      fault: "SIGKILL of Redis and the service; a replica, cut off for 1 s, takes its place",
      expects: [again],
    });
    const at = await startBeforeReplica(t, 1);
    const sale = await openSale(at.program, { mechanism: "redis-counter", limit: SOME * 3 });
    const told = await claimAtOnce(sale, people(SOME));
    await at.replica.untilEven();
    at.replica.cutOff();
    const { lost, left } = await whileRowHeld(sale, async () => {
      const left = claimAtOnce(sale, people(SOME), { spreadMs: BEHIND_MS / 2 });
      await pause(BEHIND_MS);
      await at.program.kill();
      return { left, lost: await lostWith(at, sale) };
    });
    row.injected();
    told.push(...(await left));
    at.proxies[0]!.pointTo(at.replica.port);
    await at.replica.promote();
    await at.program.restart();
    const healedMs = performance.now();
    const persons = [...told.slice(SOME).map(({ person }) => person), ...people(SOME * 3)];
    const within = { spreadMs: 500, deadlineMs: 20_000 };
    const later = await claimUntilAnswered(sale, persons, within);
    row.recovered("L3", firstGoodMs(later, healedMs));
    for (const { person, outcome } of later) {
      if (outcome === "issued" && lost.includes(person)) row.met(again);
    }
    await finishRow(row, sale, [...told, ...later], healedMs);
  },
);

test(
  "R11: the old primary answers one of two instances after a promotion: the rows decide",
  { skip },
  async (t) => {
    const at = await startBeforeReplica(t, 2);
    const [here, there] = at.proxies;
    const [before, other] = [at.program, at.others[0]!];
    const sold = await sellUnderFault(t, at, {
      row: "R11",
      fault:
        "two instances on two Redis servers for 4 s or more: the promoted replica, and the old primary",
      mechanisms: MECHANISMS,
      ...LONG_ON_TWO,
      expects: ["both servers were rebuilt", "a reservation is on one server only"],
      goodClaimMsMax: GOOD_CLAIM_MS_MAX,
      async inject(sales) {
        const injectedMs = performance.now();
        const { sale } = counterOf(sales);
        at.replica.cutOff();
        await pause(BEHIND_MS);
        await at.replica.promote();
        here!.pointTo(at.replica.port);
        here!.resetAll();
        const crowds = sales.map(async (one) => claimThere(one, other));
        const splitMs = performance.now() + SPLIT_MS;
        const endMs = performance.now() + SPLIT_MS_MAX;
        while (performance.now() < splitMs || !(await rebuiltByAll([before, other]))) {
          assert.ok(performance.now() < endMs, "a server was not rebuilt while they were two");
          const [one, other] = [await personsIn(at.replica, sale), await personsIn(at.old, sale)];
          if (differ(one, other)) met(sales, "a reservation is on one server only");
          await pause(LOOK_EVERY_MS);
        }
        met(sales, "both servers were rebuilt");
        there!.pointTo(at.replica.port);
        there!.resetAll();
        const healedMs = performance.now();
        for (const [n, crowd] of crowds.entries()) sales[n]!.told.push(...(await crowd));
        return { injectedMs, healedMs };
      },
    });
    assertOthersNoticeNothing(sold);
  },
);

type BeforeReplica = PrivateEngines & {
  readonly program: Program;
  readonly others: readonly Program[];
  /** What each instance reaches Redis through. */
  readonly proxies: readonly FaultProxy[];
  /** The primary by its own address; `redis` is what the first instance takes for it. */
  readonly old: PrivateEngine;
  readonly replica: Replica;
};

async function startBeforeReplica(t: TestContext, instances: number): Promise<BeforeReplica> {
  const proxies: FaultProxy[] = [];
  const at = await startOnPrivateEngines(t, {
    instances,
    async environment({ redis }) {
      const proxy = await startProxy(t, { port: Number(new URL(redis.url).port) });
      proxies.push(proxy);
      return { REDIS_URL: proxy.through(redis.url) };
    },
  });
  const replica = await startReplica(t, at.redis);
  const redis = { ...at.redis, url: proxies[0]!.through(at.redis.url) };
  return { ...at, redis, proxies, replica, old: at.redis };
}

/** Kills the old primary; those whose reservations it had acknowledged and its replica does not know. */
async function lostWith({ old, replica }: BeforeReplica, sale: Sale): Promise<readonly string[]> {
  const known = await personsIn(replica, sale);
  const had = await personsIn(old, sale);
  await old.kill();
  const lost = had.filter((person) => !known.includes(person));
  assert.ok(lost.length > 0, "Redis lost no reservation that it had acknowledged");
  return lost;
}

/** It is v2 that meets it; the row's other sales have it beside them. */
function met(sales: readonly FaultSale[], situation: string): void {
  for (const { row } of sales) row.met(situation);
}

function counterOf<Some extends FaultSale>(sales: readonly Some[]): Some {
  return sales.find(({ sale }) => sale.mechanism === "redis-counter")!;
}

async function personsIn({ url }: { readonly url: string }, sale: Sale): Promise<string[]> {
  const persons = await redisCommand(url, "HKEYS", `stampede:{${sale.eventId}}:persons`);
  assert.ok(Array.isArray(persons));
  return persons.map(String);
}

function differ(one: readonly string[], other: readonly string[]): boolean {
  return one.toSorted().join() !== other.toSorted().join();
}

async function rebuiltByAll(programs: readonly Program[]): Promise<boolean> {
  const times = await Promise.all(programs.map(async (program) => counted(program, REBUILDS)));
  return times.every((count) => count > 0);
}

/** Others come to the instance that still asks the old primary. */
async function claimThere({ sale }: FaultSale, program: Program): Promise<Attempt[]> {
  const elsewhere = throughInstance(sale, program);
  const within = { spreadMs: SPLIT_MS, deadlineMs: 30_000 };
  return claimUntilAnswered(elsewhere, people(PEOPLE_THERE), within);
}
