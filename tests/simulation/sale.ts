// One simulated sale, from its seed to its verdict: a plan, engines, one or two processes of the
// service, persons, faults until they heal, the time that everything then has to be finished in, and
// the referee over all that anybody was told.
import { createEvent, parseEventId } from "@stampede/domain";
import type { EventId, Mechanism } from "@stampede/domain";
import { judge } from "@stampede/lab/referee";
import { Database } from "./engines/database.ts";
import { Broker } from "./engines/kafka.ts";
import { RedisServer } from "./engines/redis.ts";
import { Faults } from "./faults.ts";
import type { Instance } from "./instance.ts";
import { judgedRun, unfinished } from "./judged-run.ts";
import { collectMarks, noteEnd } from "./marks.ts";
import { observe } from "./observer.ts";
import { People } from "./people.ts";
import { planOf } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { randomOf } from "./random.ts";
import { EPOCH_MS, Scheduler } from "./scheduler.ts";
import { Fleet } from "./fleet.ts";
import { Trace } from "./trace.ts";
import { trouble } from "./trouble.ts";

export type SaleOutcome = {
  readonly seed: number;
  readonly mechanism: Mechanism;
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

export async function runSale(
  mechanism: Mechanism,
  seed: number,
  options: { readonly keepTrace?: boolean } = {},
): Promise<SaleOutcome> {
  const random = randomOf(`${mechanism} ${seed}`);
  const plan = planOf(mechanism, random.fork("plan"));
  const scheduler = new Scheduler();
  const trace = new Trace(options.keepTrace === true);
  const faults = new Faults(random.fork("faults"), trace);
  const database = new Database(scheduler, EPOCH_MS);
  const redis = new RedisServer(random.fork("redis"));
  const broker = new Broker(random.fork("kafka"));
  const engines = { database, redis, broker };
  const eventId = parseEventId("sale")!;
  const violations: string[] = [];
  const marks = collectMarks();
  const observer = observe({
    ...engines,
    scheduler,
    trace,
    eventId,
    marks: marks.met,
    inFlight: () => people.inFlight(),
  });
  const fleet = new Fleet({
    scheduler,
    random: random.fork("fleet"),
    faults,
    plan,
    engines,
    marks: marks.met,
    onBug: (error) =>
      violations.push(`bug: ${error instanceof Error ? error.stack : String(error)}`),
  });
  const people = new People({
    scheduler,
    random: random.fork("people"),
    trace,
    eventId,
    servers: () => fleet.serving(),
    healsAtMs: () => faults.healsAtMs,
    onBug: (error) =>
      violations.push(`500: ${error instanceof Error ? error.stack : String(error)}`),
  });

  fleet.startAll();
  await createSale({ plan, scheduler, fleet, eventId });
  const healsAtMs = scheduler.nowMs + plan.healsAtMs;
  faults.active = true;
  faults.healsAtMs = healsAtMs;
  plan.arrivalsMs.forEach((ms, index) => people.arrive(`p${index}`, ms));
  trouble({ plan, scheduler, faults, fleet, random: random.fork("trouble"), ...engines });

  await scheduler.run(() => false, healsAtMs);
  faults.active = false;
  fleet.heal();
  people.patient = true;
  for (let late = 0; late < plan.latecomers; late += 1) {
    people.arrive(`late${late}`, random.between(0, 3_000));
  }
  const isFinished = (): boolean =>
    scheduler.nowMs > healsAtMs + 3_000 &&
    people.isQuiet() &&
    unfinished(engines, plan, eventId) === null;
  await scheduler.run(isFinished, healsAtMs + FINISHED_MS_MAX);
  // Longer where an operator's pace makes the line longer than that.
  const records = [...broker.logs.values()][0]?.records.length ?? 0;
  const pacedMs = plan.pace === null ? 0 : (records * 1_000) / plan.pace;
  await scheduler.run(isFinished, healsAtMs + FINISHED_MS_MAX + pacedMs);
  if (people.unsettled() > 0) {
    violations.push(`L2: ${people.unsettled()} persons without a final answer`);
  }
  // Whoever came once more is waited for: what they are told is judged too.
  await scheduler.run(() => people.isQuiet(), scheduler.nowMs + ONCE_MORE_MS_MAX);
  const left = unfinished(engines, plan, eventId);
  if (left !== null) violations.push(`L4: ${left}`);

  marks.end();
  noteEnd(marks.met, { ...engines, history: people.history, reserved: observer.reserved });
  const findings = judge(judgedRun(engines, plan, { eventId, history: people.history }));
  const forgiven = mayForget(faults) ? findings.filter(isNotGrown) : findings;
  return {
    seed,
    mechanism,
    faults: faults.counts,
    trace: trace.hash(),
    lines: trace.lines,
    violations: [
      ...violations,
      ...observer.violations,
      ...forgiven.map(({ invariant, detail }) => `${invariant}: ${detail}`),
    ],
    claims: people.history.filter(({ kind }) => kind === "claim").length,
    marks: marks.met,
    simulatedMs: scheduler.nowMs,
    happened: scheduler.happened,
  };
}

/**
 * An instance that PostgreSQL does not answer tells the mark as it last read it (reading of S12 in
 * docs/simulation.md): then `ahead` of a ticket may be greater there than it was elsewhere.
 */
function mayForget(faults: Faults): boolean {
  return [...faults.counts.keys()].some((fault) => /postgres|sessions|instance/.test(fault));
}

function isNotGrown({ invariant, detail }: { invariant: string; detail: string }): boolean {
  return !(invariant === "S12" && detail.includes("grew"));
}

/** Before any fault: an event that exists is what a sale begins with. */
async function createSale(at: {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly fleet: Fleet;
  readonly eventId: EventId;
}): Promise<void> {
  const { plan, scheduler, fleet, eventId } = at;
  let created = false;
  let failure: unknown = null;
  const create = async ({ store }: Instance): Promise<void> => {
    const { mechanism, limit, opensInMs } = plan;
    const opensAtMs = EPOCH_MS + scheduler.nowMs + opensInMs;
    const wanted = { id: eventId, name: "A sale", mechanism, limit, opensAtMs };
    const result = await createEvent(store, { ...wanted, closesAtMs: null, pace: plan.pace });
    if (!result.ok) throw new Error(`the event was refused: ${result.refusal.kind}`);
    created = true;
  };
  await scheduler.run(() => fleet.serving().length === plan.instances, 5_000);
  const first = fleet.serving()[0];
  if (first === undefined) throw new Error("no process of the service started");
  scheduler.after(0, first.process, () => {
    create(first).catch((error: unknown) => {
      failure = error;
    });
  });
  await scheduler.run(() => created || failure !== null, 15_000);
  if (!created) throw new Error("the event could not be made", { cause: failure });
}
