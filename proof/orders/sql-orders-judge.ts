// What must be true of an event after an order of steps, whatever the order was: rows, counter, mark,
// generation and answers are in step, and no constraint had to speak.
import type { EventId } from "@stampede/domain";
import type pg from "pg";
import { log } from "./transaction-scripts.ts";
import type { Scenario, Told } from "./transaction-scripts.ts";

export type Outcomes = readonly PromiseSettledResult<readonly Told[]>[];

/** Null where the order ended right. */
export async function judge(
  observer: pg.Client,
  eventId: EventId,
  { scenario, outcomes }: { readonly scenario: Scenario; readonly outcomes: Outcomes },
): Promise<string | null> {
  // The constraints are a guard behind the lock: where they have to speak, the lock did not hold.
  for (const outcome of outcomes) if (outcome.status === "rejected") return String(outcome.reason);
  const told = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
  const stored = await readSale(observer, eventId);
  const { limit, issued, version, mark, rows } = stored;
  const story = JSON.stringify({ stored, told });
  const inStep = rows.length === issued && rows.every(({ seq }, n) => seq === n + 1);
  if (!inStep || issued > limit) return `S24: ${story}`;
  if (new Set(rows.map(({ userId }) => userId)).size !== issued) return `S2: ${story}`;
  if (!told.every((one) => isTrue(one, stored))) return `S3: ${story}`;
  const kinds = told.map(({ kind }) => kind).sort();
  if (scenario.right !== undefined && kinds.join() !== scenario.right.join()) return `S3: ${story}`;
  const changes = countOf(told, "changed");
  if (version !== 1 + changes || changes > 1) return `S26: ${story}`;
  if (scenario.isNew === true && countOf(told, "created") !== 1) return `O5: ${story}`;
  const openings = told.flatMap((one) => ("generation" in one ? [one] : []));
  if (openings.length > 0) {
    const ours = openings.filter(({ kind }) => kind === "replaced");
    if (ours.length !== 1 || ours[0]?.generation !== stored.generation) return `B16: ${story}`;
  }
  // A halt that came first leaves all of the log undecided, for whoever takes the event over.
  const undecided = mark === 0 && (stored.halted || scenario.isNew === true);
  const away = countOf(told, "paused");
  const persons = new Set(scenario.scripts.flatMap((script) => script.persons)).size - away;
  if (issued !== (undecided ? 0 : Math.min(limit, persons))) return `L1: ${story}`;
  if (mark === null || undecided) return null;
  const firsts = [...new Set(log)].map((who) => log.indexOf(who)).slice(0, limit);
  const decided = mark === log.length && rows.map(({ ticket }) => ticket).join() === firsts.join();
  return decided ? null : `S10, S14: ${story}`;
}

function countOf(told: readonly Told[], kind: Told["kind"]): number {
  return told.filter((one) => one.kind === kind).length;
}

function isTrue(one: Told, { rows, issued, limit }: Awaited<ReturnType<typeof readSale>>): boolean {
  if (one.kind === "issued" || one.kind === "replayed") {
    const { userId, seq, code } = one.couponIssue;
    return rows.some((row) => row.userId === userId && row.seq === seq && row.code === code);
  }
  if (!("userId" in one)) return true;
  const holds = rows.some(({ userId }) => userId === one.userId);
  return !holds && (one.kind === "paused" || issued === limit);
}

async function readSale(
  observer: pg.Client,
  eventId: EventId,
): Promise<{
  readonly limit: number;
  readonly issued: number;
  readonly version: number;
  /** v3's next undecided ticket. */
  readonly mark: number | null;
  readonly generation: string | null;
  readonly halted: boolean;
  readonly rows: readonly { seq: number; userId: string; code: string; ticket: number | null }[];
}> {
  const { rows } = await observer.query(
    `SELECT e.limit_quantity AS limit, e.issued, e.version, q.next_offset::float8 AS mark,
            g.generation, q.halted IS NOT NULL AS halted,
            coalesce(json_agg(json_build_object('seq', i.seq, 'userId', i.user_id, 'code', i.code,
              'ticket', i.ticket) ORDER BY i.seq) FILTER (WHERE i.seq IS NOT NULL), '[]') AS rows
       FROM events e LEFT JOIN queues q ON q.event_id = e.id
       LEFT JOIN redis_generations g ON g.event_id = e.id
       LEFT JOIN coupon_issues i ON i.event_id = e.id
      WHERE e.id = $1 GROUP BY e.id, q.event_id, g.generation`,
    [eventId],
  );
  return rows[0];
}
