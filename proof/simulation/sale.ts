// One simulated world, from its seed to its verdict: a plan, engines, one or two processes of the
// service, one sale or several with their persons, faults until they heal, the time that everything then
// has to be finished in, and the referee over all that anybody was told.
import type { Mechanism } from "@stampede/domain";
import { judge } from "@stampede/referee";
import type { Finding } from "@stampede/referee";
import { createSale } from "./create-sale.ts";
import { Database } from "./engines/database.ts";
import { Broker } from "./engines/kafka.ts";
import { RedisServer } from "./engines/redis.ts";
import { Faults } from "./faults.ts";
import { Fleet } from "./fleet.ts";
import type { Engines } from "./fleet.ts";
import { judgedWorld, unfinished } from "./judged-run.ts";
import { collectMarks, MANY, noteEnd } from "./marks.ts";
import type { Marks } from "./marks.ts";
import { observe } from "./observer.ts";
import type { Observer } from "./observer.ts";
import { People } from "./people.ts";
import { descriptionOf, planOf } from "./plan.ts";
import type { Plan, SalePlan } from "./plan.ts";
import { randomOf } from "./random.ts";
import type { Random } from "./random.ts";
import { EPOCH_MS, Scheduler } from "./scheduler.ts";
import { Trace } from "./trace.ts";
import { breakSale, trouble } from "./trouble.ts";

export type SaleOutcome = {
  readonly seed: number;
  readonly mechanism: Mechanism;
  /** Its own, and those beside it. */
  readonly sales: number;
  readonly violations: readonly string[];
  readonly faults: ReadonlyMap<string, number>;
  readonly claims: number;
  readonly marks: ReadonlySet<string>;
  readonly trace: string;
  readonly lines: readonly string[] | null;
  readonly simulatedMs: number;
  readonly happened: number;
};

/** After the last fault everything has to be finished within this (L1, L2, L4). */
const FINISHED_MS_MAX = 10_000;
const ONCE_MORE_MS_MAX = 25_000;

/** An answer that took so long was waited for; alone it takes a few milliseconds. */
const UNNOTICED_MS_MAX = 1_000;

type Sale = { readonly plan: SalePlan; readonly people: People };

type World = {
  readonly plan: Plan;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  readonly faults: Faults;
  readonly engines: Engines;
  readonly fleet: Fleet;
  readonly sales: readonly Sale[];
  readonly marks: Marks;
  readonly observer: Observer;
  readonly violations: string[];
  readonly onBug: (error: unknown) => void;
};

export async function runSale(
  mechanism: Mechanism,
  seed: number,
  options: { readonly keepTrace?: boolean } = {},
): Promise<SaleOutcome> {
  const world = openWorld(mechanism, seed, options.keepTrace === true);
  const { plan, scheduler, trace, faults, engines, fleet, sales, marks, observer } = world;
  fleet.startAll();
  await sellEarly(world);
  await sellUnderFaults(world);
  await settle(world);

  marks.end();
  for (const { people } of sales) {
    noteEnd(marks.met, { ...engines, history: people.history, ...observer });
  }
  const histories = sales.map(({ plan: sale, people }) => ({
    plan: sale,
    history: people.history,
  }));
  const lost = new Set<string>(
    plan.sales.filter(staysBroken).map(({ eventId }): string => eventId),
  );
  const findings = judge(judgedWorld(engines, histories)).filter(
    ({ eventId, invariant }) => !(lost.has(eventId) && isOfTheEnd(invariant)),
  );
  const forgiven = mayForget(faults) ? findings.filter(isNotGrown) : findings;
  return {
    seed,
    mechanism,
    sales: sales.length,
    faults: faults.counts,
    trace: trace.hash(),
    lines: trace.lines,
    violations: [
      ...world.violations,
      ...observer.violations,
      ...forgiven.map(({ invariant, detail }) => `${invariant}: ${detail}`),
      ...(plan.calm ? sales.flatMap(noticed) : []),
    ],
    claims: histories.flatMap(({ history }) => history).filter(({ kind }) => kind === "claim")
      .length,
    marks: marks.met,
    simulatedMs: scheduler.nowMs,
    happened: scheduler.happened,
  };
}

function openWorld(mechanism: Mechanism, seed: number, keepTrace: boolean): World {
  const random = randomOf(`${mechanism} ${seed}`);
  const plan = planOf(mechanism, random.fork("plan"), random.fork("beside"));
  const scheduler = new Scheduler();
  const trace = new Trace(keepTrace);
  const faults = new Faults(random.fork("faults"), trace);
  const engines = {
    database: new Database(scheduler, EPOCH_MS),
    redis: new RedisServer(random.fork("redis")),
    broker: new Broker(random.fork("kafka")),
  };
  const violations: string[] = [];
  const marks = collectMarks();
  const bug = (kind: string) => (error: unknown) =>
    void violations.push(`${kind}: ${error instanceof Error ? error.stack : String(error)}`);
  const onBug = bug("bug");
  const broken = new Set(
    plan.sales.flatMap(({ eventId, brokenAtMs }) => (brokenAtMs === null ? [] : [eventId])),
  );
  const fleet = new Fleet({
    scheduler,
    random: random.fork("fleet"),
    faults,
    plan,
    engines,
    marks: marks.met,
    onBug,
    onHalt: (eventId, reason) => {
      if (!broken.has(eventId)) onBug(new Error(`${eventId} was halted: ${reason}`));
    },
  });
  const sales = plan.sales.map((sale, index) => {
    const people = new People({
      scheduler,
      random: random.fork(index === 0 ? "people" : `people ${index}`),
      trace,
      eventId: sale.eventId,
      servers: () =>
        fleet.serving().map(({ process, issuers }) => ({
          process,
          issuer: issuers.get(sale.mechanism)!,
        })),
      healsAtMs: () => faults.healsAtMs,
      onBug: bug("500"),
    });
    return { plan: sale, people };
  });
  const observer = observe({
    ...engines,
    scheduler,
    trace,
    eventIds: plan.sales.map(({ eventId }) => eventId),
    marks: marks.met,
    inFlight: () => sales.reduce((sum, { people }) => sum + people.inFlight(), 0),
  });
  return {
    plan,
    random,
    scheduler,
    trace,
    faults,
    engines,
    fleet,
    sales,
    marks,
    observer,
    violations,
    onBug,
  };
}

/** Before any fault: the events that are there already, and the sales that are over. */
async function sellEarly(world: World): Promise<void> {
  const { plan, scheduler, fleet, sales, marks } = world;
  await scheduler.run(() => fleet.serving().length === plan.instances, 5_000);
  for (const { plan: sale } of sales) {
    if (sale.madeAtMs > 0) continue;
    let made = false;
    makeSale(world, sale, () => {
      made = true;
    });
    await scheduler.run(() => made, scheduler.nowMs + 15_000);
    if (!made) throw new Error(`${sale.eventId} could not be made`);
  }
  const over = sales.filter(({ plan: { earlyBirds } }) => earlyBirds > 0);
  for (const { plan: sale, people } of over) {
    people.patient = true;
    for (let bird = 0; bird < sale.earlyBirds; bird += 1) people.arrive(`early${bird}`, bird);
  }
  const isOver = (): boolean => over.every(({ people }) => people.isQuiet());
  await scheduler.run(isOver, scheduler.nowMs + FINISHED_MS_MAX);
  for (const { people } of over) people.patient = false;
  if (over.length > 0 && isOver()) marks.met.add(MANY.over);
}

async function sellUnderFaults(world: World): Promise<void> {
  const { plan, random, scheduler, faults, engines, fleet, sales, marks } = world;
  const healsAtMs = scheduler.nowMs + plan.healsAtMs;
  faults.active = !plan.calm;
  faults.healsAtMs = healsAtMs;
  for (const { plan: sale, people } of sales) {
    const come = (): void => sale.arrivalsMs.forEach((ms, index) => people.arrive(`p${index}`, ms));
    if (sale.madeAtMs === 0) {
      come();
      continue;
    }
    scheduler.after(sale.madeAtMs, scheduler.outside, () =>
      makeSale(world, sale, () => {
        if (faults.active) marks.met.add(MANY.made);
        come();
      }),
    );
  }
  const at = { plan, scheduler, faults, fleet, random: random.fork("trouble"), ...engines };
  trouble(at);
  for (const { plan: sale } of sales) {
    const { brokenAtMs } = sale;
    if (brokenAtMs === null) continue;
    scheduler.after(brokenAtMs, null, () => {
      breakSale(sale, at);
      marks.met.add(plan.calm ? MANY.calm : MANY.broken);
    });
  }
  await scheduler.run(() => false, healsAtMs);
  faults.active = false;
  fleet.heal();
  // What healed the engines may have mended what somebody broke in them.
  for (const { plan: sale } of sales) if (staysBroken(sale)) breakSale(sale, at);
}

/** The time in which everything has to be finished, whoever came last. */
async function settle(world: World): Promise<void> {
  const { random, scheduler, faults, engines, sales, violations } = world;
  const { healsAtMs } = faults;
  const served = sales.filter(({ plan }) => !staysBroken(plan));
  for (const { plan, people } of sales) {
    people.patient = true;
    people.hopeless = staysBroken(plan);
    for (let late = 0; late < plan.latecomers; late += 1) {
      people.arrive(`late${late}`, random.between(0, 3_000));
    }
  }
  const areQuiet = (): boolean => sales.every(({ people }) => people.isQuiet());
  const left = (): string | null => leftOf(engines, served);
  const isFinished = (): boolean =>
    scheduler.nowMs > healsAtMs + 3_000 && areQuiet() && left() === null;
  await scheduler.run(isFinished, healsAtMs + FINISHED_MS_MAX);
  // Longer where an operator's pace makes a line longer than that.
  const pacedMs = Math.max(0, ...served.map(({ plan }) => lineMs(engines, plan)));
  await scheduler.run(isFinished, healsAtMs + FINISHED_MS_MAX + pacedMs);
  for (const { plan, people } of served) {
    if (people.unsettled() === 0) continue;
    violations.push(`L2: ${people.unsettled()} persons of ${plan.eventId} without a final answer`);
  }
  // Whoever came once more is waited for: what they are told is judged too.
  await scheduler.run(areQuiet, scheduler.nowMs + ONCE_MORE_MS_MAX);
  const unmade = served.filter(({ plan }) => !isMade(engines, plan));
  for (const { plan } of unmade) violations.push(`L4: ${plan.eventId} could not be made`);
  const what = left();
  if (what !== null) violations.push(`L4: ${what}`);
}

function leftOf(engines: Engines, sales: readonly Sale[]): string | null {
  for (const { plan } of sales) {
    const left = unfinished(engines, plan);
    if (left !== null) return sales.length === 1 ? left : `${plan.eventId}: ${left}`;
  }
  return null;
}

function lineMs({ database, broker }: Engines, { eventId, pace }: SalePlan): number {
  const topic = database.tables.queues.get(eventId)?.topic ?? "";
  const records = broker.logs.get(topic)?.records.length ?? 0;
  return pace === null ? 0 : (records * 1_000) / pace;
}

function makeSale(
  { scheduler, fleet, engines, onBug }: World,
  sale: SalePlan,
  onMade: () => void,
): void {
  createSale({ scheduler, fleet, sale, isMade: () => isMade(engines, sale), onMade, onBug });
}

function isMade({ database }: Engines, { eventId }: SalePlan): boolean {
  return database.tables.events.has(eventId);
}

/** Whose engine was changed by somebody stays broken; a row that was held is free again. */
function staysBroken({ mechanism, brokenAtMs }: SalePlan): boolean {
  return brokenAtMs !== null && descriptionOf(mechanism).needs.length > 1;
}

/** L7: nothing but other events was broken, so nobody here may have been turned away or kept waiting. */
function noticed({ plan, people }: Sale): readonly string[] {
  if (plan.brokenAtMs !== null) return [];
  const wrong = people.history.filter(
    ({ status, sentMs, returnedMs }) =>
      status === null || status >= 500 || returnedMs - sentMs > UNNOTICED_MS_MAX,
  );
  return wrong.slice(0, 1).map(({ kind, person, status, sentMs, returnedMs }) => {
    const ms = Math.round(returnedMs - sentMs);
    return `L7: ${wrong.length} of ${plan.eventId} noticed another event: ${kind} of ${person}, ${status} after ${ms} ms`;
  });
}

/**
 * An instance that PostgreSQL does not answer tells the mark as it last read it (reading of S12 in
 * docs/simulation.md): then `ahead` of a ticket may be greater there than it was elsewhere.
 */
function mayForget(faults: Faults): boolean {
  return [...faults.counts.keys()].some((fault) => /postgres|sessions|instance/.test(fault));
}

/** What an event that stays broken cannot keep: its people are served when an operator has mended it. */
function isOfTheEnd(invariant: string): boolean {
  return invariant.startsWith("L") || invariant === "S23";
}

function isNotGrown({ invariant, detail }: Finding): boolean {
  return !(invariant === "S12" && detail.includes("grew"));
}
