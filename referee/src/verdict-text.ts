import type { Finding } from "./findings.ts";
import { promises } from "./promises.ts";
import { ORDERED_BY_A_LOG } from "./run.ts";
import type { JudgedRun } from "./run.ts";

const shownPerInvariantMax = 5;
const attemptsShownMax = 6;

/** The verdict in words: what was judged, and under each broken promise the attempts that show it. */
export function verdictText(run: JudgedRun, findings: readonly Finding[]): string {
  return [`${word(findings)}: ${extent(run)}`, ...findingLines(findings)].join("\n");
}

/** A broken promise is wrong; where only promises of an end are broken, the sale may yet become right. */
function word(findings: readonly Finding[]): string {
  if (findings.length === 0) return "RIGHT";
  const unfinished = findings.every(({ invariant }) => invariant.startsWith("L"));
  return unfinished ? "WRONG (not finished)" : "WRONG";
}

function extent({ events, history, rows, log, redis }: JudgedRun): string {
  const queues = events.filter(({ mechanism }) => ORDERED_BY_A_LOG.has(mechanism));
  const counters = events.filter(({ mechanism }) => mechanism === "redis-counter");
  const logs = queues.filter(({ eventId }) => log?.has(eventId)).length;
  const states = counters.filter((event) =>
    redis?.some(({ eventId }) => eventId === event.eventId),
  ).length;
  return [
    counted(events.length, "event"),
    counted(history.length, "attempt"),
    counted(rows.length, "row"),
    ...(queues.length === 0 ? [] : [`the log of ${logs} of ${counted(queues.length, "queue")}`]),
    ...(counters.length === 0
      ? []
      : [`Redis of ${states} of ${counted(counters.length, "counter")}`]),
  ].join(", ");
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

function findingLines(findings: readonly Finding[]): string[] {
  const byInvariant = Map.groupBy(findings, ({ invariant }) => invariant);
  return [...byInvariant].flatMap(([invariant, same]) => {
    const lines = same.slice(0, shownPerInvariantMax).map(({ eventId, attempts, detail }) => {
      return `    ${eventId}: ${detail}${attemptsText(attempts)}`;
    });
    const broken = `  ${invariant}: ${promises[invariant].sentence}`;
    const more = same.length - shownPerInvariantMax;
    if (more > 0) lines.push(`    and ${more.toLocaleString("en")} more`);
    return [broken, ...lines];
  });
}

function attemptsText(attempts: readonly number[]): string {
  if (attempts.length === 0) return "";
  const shown = attempts.slice(0, attemptsShownMax).join(", ");
  const rest = attempts.length > attemptsShownMax ? ", ..." : "";
  return ` (attempt${attempts.length === 1 ? "" : "s"} ${shown}${rest})`;
}
