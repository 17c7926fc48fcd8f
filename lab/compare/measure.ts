// One run of one subject: a fresh sale, the crowd, the verdict, the figures.
import { randomBytes } from "node:crypto";

import { ceilingClaimPath, ceilingEventId, type Ceiling } from "../crowd/ceiling.ts";
import { openConnections, targetOf } from "../crowd/connection.ts";
import { runTrace, type CrowdRun, type Protocol } from "../crowd/crowd.ts";
import type { Attempt } from "../crowd/history.ts";
import { runSale, type Sale, type Shop } from "../crowd/run-sale.ts";
import { oddAnswers, outcomesText } from "../crowd/statistics.ts";
import type { Judge, StoredRow, Violation } from "../crowd/verdict.ts";
import { databaseClock } from "./engines.ts";
import { fairnessOf } from "./fairness.ts";
import { claimFigures } from "./figures.ts";
import { generatorFaults } from "./generator-bound.ts";
import { runMeter, type Readings } from "./meter.ts";
import type { Run, RunVerdict, Scenario, Subject } from "./result.ts";
import { arrivalsOf } from "./scenario.ts";
import { createSale, judgeTarget, targetProtocol, type TargetSystem } from "./target.ts";

/** A server to measure, with its processes and its database's clock where they can be known. */
export type LabShop = Shop & {
  readonly pids: () => Readonly<Record<string, number>>;
  readonly databaseUrl: string | null;
};

/** What all runs of a comparison have in common. */
export type RunPlan = {
  readonly scenario: Scenario;
  /** When each person comes; the same in every run. */
  readonly times: readonly number[];
  readonly deadlineMs: number;
  readonly judge: Judge;
  /** People who watch the stream meanwhile. */
  readonly streams: number;
  readonly progress: (text: string) => void;
  /** Gets every sale by a mechanism, warm-ups too, to keep what was said and stored. */
  readonly sold?: (mechanism: string, sale: Sale) => void;
};

/** A run that does not know yet which round it belongs to. */
export type MeasuredRun = Omit<Run, "round" | "twin">;

const violationsKept = 100;

/** A sale by one of the service's mechanisms. */
export async function measureMechanism(
  shop: LabShop,
  mechanism: string,
  plan: RunPlan,
): Promise<MeasuredRun> {
  const { scenario, times, deadlineMs, judge, streams } = plan;
  const clockMs = shop.databaseUrl === null ? null : await databaseClock(shop.databaseUrl);
  const meter = runMeter({ pids: shop.pids(), metricsUrl: `${shop.url}/metrics` });
  try {
    const { limit, pace, claimsPerPerson, earlierPeople } = scenario;
    const sold = { mechanism, limit, pace, claimsPerPerson, earlierPeople, streams };
    const arrivals = (run: string): ReturnType<typeof arrivalsOf> => arrivalsOf(times, run);
    const sale = await runSale(
      shop,
      { ...sold, arrivals, deadlineMs, judge, meter },
      plan.progress,
    );
    plan.sold?.(mechanism, sale);
    const { crowd, finalMs, stored, eventId, violations, voidReasons, watching } = sale;
    const rows = ofCrowd(stored.rows, crowd.claims);
    return runOf(plan, {
      subject: mechanism,
      eventId,
      crowd,
      verdictAtMs: finalMs,
      durableAtMs: clockMs === null ? null : lastIssuedAtMs(rows, clockMs),
      rows,
      issuedRows: stored.rows.length,
      watching,
      violations,
      voidReasons,
      readings: meter.readings(crowd.claims.length),
    });
  } finally {
    meter.stop();
  }
}

/** The same crowd on the empty handler. */
export async function measureCeiling(ceiling: Ceiling, plan: RunPlan): Promise<MeasuredRun> {
  const measured = await measureAnswers(plan, {
    subject: "ceiling",
    url: ceiling.url,
    eventId: ceilingEventId,
    claimPath: ceilingClaimPath,
    pid: ceiling.pid,
  });
  const { crowd, readings } = measured;
  const others = crowd.claims.filter(
    ({ outcome, status }) => outcome !== "issued" && status !== null,
  );
  // It has one answer; any other one means that its rate is no ceiling.
  const odd =
    others.length === 0
      ? []
      : [`the empty handler answered ${outcomesText(claimFigures(crowd, true).outcomes)}`];
  return runOf(plan, {
    ...withoutRows,
    subject: "ceiling",
    eventId: ceilingEventId,
    crowd,
    verdictAtMs: lastAnswerAtMs(crowd.claims),
    violations: [],
    voidReasons: [...oddAnswers(crowd.claims), ...odd],
    readings,
  });
}

/** The same crowd on somebody else's system, judged by its answers alone. */
export async function measureTarget(system: TargetSystem, plan: RunPlan): Promise<MeasuredRun> {
  const event = `lab-${randomBytes(4).toString("hex")}`;
  const { limit } = plan.scenario;
  await createSale(system, { event, limit });
  const target = await targetOf(system.url);
  const { crowd, readings } = await measureAnswers(plan, {
    subject: "target",
    url: system.url,
    eventId: event,
    // Its own protocol says where it takes claims.
    claimPath: "",
    pid: null,
    protocol: targetProtocol(system, target, { event, limit }),
  });
  const queued = crowd.claims.some(({ outcome }) => outcome === "queued");
  return runOf(plan, {
    ...withoutRows,
    subject: "target",
    eventId: event,
    crowd,
    verdictAtMs: queued ? null : lastAnswerAtMs(crowd.claims),
    violations: judgeTarget(crowd.claims, limit),
    voidReasons: oddAnswers(crowd.claims),
    readings,
  });
}

const withoutRows = { durableAtMs: null, rows: [], issuedRows: null, watching: null } as const;

type Answering = {
  readonly subject: "ceiling" | "target";
  readonly url: string;
  readonly eventId: string;
  readonly claimPath: string;
  readonly pid: number | null;
  readonly protocol?: Protocol;
};

async function measureAnswers(
  { scenario, times, deadlineMs }: RunPlan,
  { subject, url, eventId, claimPath, pid, protocol }: Answering,
): Promise<{ readonly crowd: CrowdRun; readonly readings: Readings }> {
  const target = await targetOf(url);
  const meter = runMeter({ pids: pid === null ? {} : { server: pid }, metricsUrl: null });
  const arrivals = arrivalsOf(times, randomBytes(4).toString("hex"));
  const connections = await openConnections(target, arrivals.length).catch((error: unknown) => {
    meter.stop();
    throw error;
  });
  try {
    await meter.begin();
    const crowd = await runTrace({
      target,
      eventId,
      mechanism: subject,
      claimPath,
      connections,
      arrivals,
      deadlineMs,
      claimsPerPerson: scenario.claimsPerPerson,
      ...(protocol === undefined ? {} : { protocol }),
    });
    await meter.end();
    return { crowd, readings: meter.readings(crowd.claims.length) };
  } finally {
    meter.stop();
    for (const connection of connections) connection.close();
  }
}

type Ended = {
  readonly subject: Subject;
  readonly eventId: string;
  readonly crowd: CrowdRun;
  /** When everybody could know, and when the last row was written, on the monotonic clock. */
  readonly verdictAtMs: number | null;
  readonly durableAtMs: number | null;
  /** Coupons that went to the measured crowd. */
  readonly rows: readonly StoredRow[];
  readonly readings: Readings;
} & Pick<Sale, "violations" | "voidReasons" | "watching"> &
  Pick<Run, "issuedRows">;

function runOf({ scenario }: RunPlan, ended: Ended): MeasuredRun {
  const { subject, eventId, crowd, rows, issuedRows, watching } = ended;
  const { serverCpuShare, ...readings } = ended.readings;
  const { answersPerSecond, firstMs, lateMs, ...figures } = claimFigures(
    crowd,
    scenario.perSecond === null,
  );
  const generator = { lateMs, cpuShare: crowd.wallMs > 0 ? crowd.cpuMs / crowd.wallMs : 0 };
  const bound = generatorFaults({
    firingSkewMs: figures.firingSkewMs,
    lastAnswerMs: figures.lastAnswerMs,
    lateMsP99: lateMs.p99,
    latencyMsP99: figures.latencyMs.p99,
    wallMs: crowd.wallMs,
    crowdCpuShare: generator.cpuShare,
    serverCpuShare,
  });
  const verdict = verdictOf(ended.violations, [...ended.voidReasons, ...bound]);
  const right = verdict.kind === "right";
  const since = (atMs: number | null): number | null => (atMs === null ? null : atMs - firstMs);
  const durableMs = since(ended.durableAtMs);
  return {
    subject,
    eventId,
    verdict,
    ...figures,
    answersPerSecond: right ? answersPerSecond : null,
    issuedPerSecond:
      right && durableMs !== null && durableMs > 0 ? rows.length / (durableMs / 1_000) : null,
    lastVerdictMs: since(ended.verdictAtMs),
    durableMs,
    ...readings,
    fairness: fairnessOf(arrivalOrder(crowd.claims), seqsOf(rows), scenario.limit),
    generator,
    issuedRows,
    watching,
  };
}

function verdictOf(violations: readonly Violation[], reasons: readonly string[]): RunVerdict {
  if (violations.length > 0) {
    const more = violations.length - violationsKept;
    const shown = violations.slice(0, violationsKept).map(({ rule, person, detail }) => {
      return `${rule}: ${person === null ? "" : `${person}: `}${detail}`;
    });
    return { kind: "wrong", violations: [...shown, ...(more > 0 ? [`and ${more} more`] : [])] };
  }
  return reasons.length > 0 ? { kind: "void", reasons } : { kind: "right" };
}

/** People in the order of their first claims; who was refused every time has not arrived. */
function arrivalOrder(claims: readonly Attempt[]): string[] {
  const first = new Map<string, number>();
  for (const { person, sentMs, outcome } of claims) {
    if (outcome === "refused") continue;
    first.set(person, Math.min(first.get(person) ?? Infinity, sentMs));
  }
  return [...first].sort(([, a], [, b]) => a - b).map(([person]) => person);
}

function seqsOf(rows: readonly StoredRow[]): Map<string, number> {
  return new Map(rows.map(({ userId, seq }) => [userId, seq]));
}

/** Earlier people's coupons are another crowd's. */
function ofCrowd(rows: readonly StoredRow[], claims: readonly Attempt[]): readonly StoredRow[] {
  const people = new Set(claims.map(({ person }) => person));
  return rows.filter(({ userId }) => people.has(userId));
}

function lastIssuedAtMs(rows: readonly StoredRow[], clockMs: number): number | null {
  if (rows.length === 0) return null;
  return rows.reduce((last, row) => Math.max(last, Date.parse(row.issuedAt)), 0) - clockMs;
}

function lastAnswerAtMs(claims: readonly Attempt[]): number | null {
  if (claims.some(({ status }) => status === null)) return null;
  return claims.reduce((last, { returnedMs }) => Math.max(last, returnedMs), 0);
}
