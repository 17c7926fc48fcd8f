import { attemptOf, type Attempt } from "../crowd/history.ts";
import { stillQueued } from "../crowd/settle.ts";
import { oddAnswers, percentile } from "../crowd/statistics.ts";
import { judge, type StoredSale } from "../crowd/verdict.ts";
import type { Sample } from "./jtl.ts";

/** What JMeter was told to do, on an event of its own. */
export type JmeterPlan = {
  /** By its name, and the version of its path. */
  readonly mechanism: string;
  readonly version: string;
  readonly eventId: string;
  readonly people: number;
  readonly limit: number;
};

/** What JMeter measured; times in milliseconds, of claims where nothing else is said. */
export type JmeterFigures = {
  readonly answers: number;
  /** By the time from the first claim's sending to the last answer. */
  readonly answersPerSecond: number;
  readonly lastAnswerMs: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** From the first claim to the last: how far the Synchronizing Timer's instant was from one. */
  readonly firedWithinMs: number;
  /** Claims that had to open a connection within the time that is measured. */
  readonly newConnections: number;
  /** Requests that the plan's assertions or JMeter itself called failed, of all kinds. */
  readonly errors: number;
  /** v3: questions asked until the answers were final. */
  readonly statusQuestions: number;
  /** From the first claim until the last person was told a final answer; null: somebody never was. */
  readonly lastFinalMs: number | null;
};

export type JudgedJmeterRun = JmeterPlan & {
  readonly figures: JmeterFigures;
  /** Coupon issues counted by SQL. */
  readonly issuedRows: number;
  /** What must never be; any of them makes the run wrong. */
  readonly violations: readonly string[];
  /** What makes the run void: no measurement, although nothing that was said is wrong. */
  readonly voidReasons: readonly string[];
};

/**
 * JMeter rounds the time of sending and the duration down to milliseconds each and corrects its
 * clock now and then: for the referee an answer came this much later, which only spares the innocent.
 */
const clockSlackMs = 3;

/** Judges what JMeter's people were told by what the database holds. */
export function judgeSamples(
  plan: JmeterPlan,
  evidence: { readonly samples: readonly Sample[]; readonly sale: StoredSale },
): JudgedJmeterRun {
  const { mechanism, limit, people } = plan;
  const { samples, sale } = evidence;
  const attempts = attemptsOf(plan, samples);
  const violations = judge({ mechanism, limit, attempts, sale });
  const claimed = new Set(attempts.filter(({ kind }) => kind === "claim").map((a) => a.person));
  const arrivedBadly = samples.filter(({ label, success }) => label === "Arrive" && !success);
  const waiting = stillQueued(attempts);
  const failure = samples.find(({ label, success }) => label !== "Arrive" && !success);
  return {
    ...plan,
    figures: figuresOf(samples, { finalPeople: finalPeople(attempts), people }),
    issuedRows: sale.rows.length,
    violations: violations.map(({ rule, person, detail }) =>
      person === null ? `${rule}: ${detail}` : `${rule} (${person}): ${detail}`,
    ),
    voidReasons: [
      ...(claimed.size === people ? [] : [`${claimed.size} of ${people} people claimed`]),
      ...(arrivedBadly.length === 0
        ? []
        : [`${arrivedBadly.length} x arrive: ${reason(arrivedBadly[0])}`]),
      ...oddAnswers(attempts),
      ...(failure === undefined ? [] : [`an assertion of the plan failed: ${reason(failure)}`]),
      ...(waiting === 0 ? [] : [`${waiting} people were last told "queued"`]),
    ],
  };
}

function reason(sample: Sample | undefined): string {
  if (sample === undefined) return "";
  return sample.failureMessage || sample.fault || `status ${sample.status}`;
}

function attemptsOf({ mechanism, eventId }: JmeterPlan, samples: readonly Sample[]): Attempt[] {
  return samples.flatMap((sample, id) => {
    if (sample.label === "Arrive") return [];
    const url = new URL(sample.url);
    const ticket = url.searchParams.get("ticket");
    const asked = {
      id,
      kind: sample.label === "Claim" ? ("claim" as const) : ("status" as const),
      person: sample.person,
      eventId,
      mechanism,
      attempt: 1,
      instance: url.origin,
      ticketAsked: ticket === null ? null : Number(ticket),
    };
    const { sentMs, elapsedMs, status, body, fault } = sample;
    const returnedMs = sentMs + elapsedMs + clockSlackMs;
    const exchange =
      status === null
        ? { sentMs, returnedMs, answer: null, fault: faultOf(fault ?? "") }
        : { sentMs, returnedMs, answer: { status, body, closes: false }, fault: null };
    return [attemptOf(asked, exchange)];
  });
}

function faultOf(words: string): "timeout" | "reset" {
  return words.includes("Timeout") ? "timeout" : "reset";
}

/** Who was told a final answer; a coupon or its end stays, whatever is asked later. */
function finalPeople(attempts: readonly Attempt[]): ReadonlySet<string> {
  const final = attempts.filter(({ outcome }) =>
    ["issued", "replay", "sold-out"].includes(outcome),
  );
  return new Set(final.map(({ person }) => person));
}

function figuresOf(
  samples: readonly Sample[],
  { finalPeople, people }: { finalPeople: ReadonlySet<string>; people: number },
): JmeterFigures {
  const claims = samples.filter(({ label }) => label === "Claim");
  const answered = claims.filter(({ status }) => status !== null);
  const sent = claims.map(({ sentMs }) => sentMs).sort((a, b) => a - b);
  const firstMs = sent[0] ?? 0;
  const lastAnswerMs = lastEnd(answered, firstMs);
  const latencies = answered.map(({ elapsedMs }) => elapsedMs).sort((a, b) => a - b);
  const sum = latencies.reduce((total, latency) => total + latency, 0);
  return {
    answers: answered.length,
    answersPerSecond: lastAnswerMs > 0 ? answered.length / (lastAnswerMs / 1_000) : 0,
    lastAnswerMs,
    meanMs: latencies.length > 0 ? sum / latencies.length : 0,
    p50Ms: percentile(latencies, 50),
    p95Ms: percentile(latencies, 95),
    p99Ms: percentile(latencies, 99),
    maxMs: percentile(latencies, 100),
    firedWithinMs: (sent.at(-1) ?? firstMs) - firstMs,
    newConnections: claims.filter(({ connectMs }) => connectMs > 0).length,
    errors: samples.filter(({ success }) => !success).length,
    statusQuestions: samples.filter(({ label }) => label === "Status").length,
    lastFinalMs:
      finalPeople.size < people
        ? null
        : lastEnd(
            samples.filter(({ label }) => label !== "Arrive"),
            firstMs,
          ),
  };
}

/** Until the last of these was answered. */
function lastEnd(samples: readonly Sample[], firstMs: number): number {
  return (
    samples.reduce((last, { sentMs, elapsedMs }) => Math.max(last, sentMs + elapsedMs), firstMs) -
    firstMs
  );
}
