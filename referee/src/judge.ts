// The referee. It reads a finished run as data, in time n log n, and shares no code with the service
// or with the load side; docs/referee.md has its rules in words.
import { judgeAnswers } from "./answers.ts";
import { objection, type Finding, type Objection } from "./findings.ts";
import { judgeLog } from "./log.ts";
import { judgeOrder } from "./order.ts";
import { salesOf, type Sale } from "./people.ts";
import { judgeRedis } from "./redis-state.ts";
import { judgeRows, repeatedCodes } from "./rows.ts";
import { ORDERED_BY_A_LOG } from "./run.ts";
import type { JudgedRun } from "./run.ts";
import { judgeTickets } from "./tickets.ts";

/**
 * All that must not be, found in a finished run; none means that it was right. Throws where the run
 * does not hang together: something in it belongs to an event that it does not have.
 */
export function judge(run: JudgedRun): Finding[] {
  const findings: Finding[] = [];
  for (const sale of salesOf(run)) {
    const { eventId } = sale.event;
    for (const found of judgeSale(sale)) findings.push({ ...found, eventId });
  }
  return [...findings, ...judgeCodes(run)];
}

function judgeSale(sale: Sale): Objection[] {
  const queue = ORDERED_BY_A_LOG.has(sale.event.mechanism);
  return [
    ...judgeRows(sale),
    ...judgeAnswers(sale),
    ...(queue ? judgeTickets(sale) : judgeOrder(sale)),
    ...judgeProgress(sale),
    ...(sale.log === null ? [] : judgeLog(sale, sale.log)),
    ...(sale.redis === null ? [] : judgeRedis(sale, sale.redis)),
  ];
}

/** In the end there are as many rows as persons who got through, up to the limit. */
function judgeProgress({ event, rows, people, firstVoided }: Sale): Objection[] {
  // What was not decided when an operator ended the sale is due to nobody.
  if (firstVoided !== null) return [];
  let through = 0;
  for (const { attempts } of people.values()) {
    if (attempts.some(({ kind, outcome }) => kind === "claim" && isThrough[outcome])) through += 1;
  }
  const least = Math.min(event.limit, through);
  if (rows.length >= least) return [];
  const detail = `${rows.length} rows where at least ${least} are due: ${through} persons got through`;
  return [objection("L1", detail)];
}

const isThrough = {
  issued: true,
  replay: true,
  "sold-out": true,
  voided: false,
  queued: true,
  refused: false,
  unknown: false,
  none: false,
} as const;

function judgeCodes({ rows }: JudgedRun): Finding[] {
  return [...repeatedCodes(rows).values()].flatMap((same) => {
    const persons = same.map(({ userId }) => userId);
    const places = same.map(({ eventId, seq }) => `seq ${seq} of ${eventId}`);
    const found = objection("S21", `one code stands in ${places.join(" and ")}`, { persons });
    const [first] = same;
    return first === undefined ? [] : [{ ...found, eventId: first.eventId }];
  });
}
