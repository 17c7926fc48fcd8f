import type { Finding } from "./findings.ts";
import type { JudgedRun } from "./run.ts";

const shownPerInvariantMax = 5;
const attemptsShownMax = 6;

/** The verdict in words: what was judged, and each finding with the attempts that show it. */
export function verdictText(run: JudgedRun, findings: readonly Finding[]): string {
  return [`${word(findings)}: ${extent(run)}`, ...findingLines(findings)].join("\n");
}

/** "Wrong" and "not finished" are separate verdicts; what is wrong stays wrong when it is finished. */
function word(findings: readonly Finding[]): string {
  if (findings.length === 0) return "RIGHT";
  const unfinished = findings.every(({ invariant }) => invariant.startsWith("L"));
  return unfinished ? "NOT FINISHED" : "WRONG";
}

function extent({ events, history, rows, log, redis }: JudgedRun): string {
  const queues = events.filter(({ mechanism }) => mechanism === "kafka-queue");
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
      return `  ${invariant}: ${eventId}: ${detail}${attemptsText(attempts)}`;
    });
    const more = same.length - shownPerInvariantMax;
    return more > 0 ? [...lines, `  ${invariant}: and ${more.toLocaleString("en")} more`] : lines;
  });
}

function attemptsText(attempts: readonly number[]): string {
  if (attempts.length === 0) return "";
  const shown = attempts.slice(0, attemptsShownMax).join(", ");
  const rest = attempts.length > attemptsShownMax ? ", ..." : "";
  return ` (attempt${attempts.length === 1 ? "" : "s"} ${shown}${rest})`;
}
