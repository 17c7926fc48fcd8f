// The rush's judge: a pure function of what people were told and what the database holds. It shares
// no code with packages/, so that a misunderstanding there is not repeated here. Each rule names
// what may never be; `docs/guarantees.md` has the reasons. A violation makes the run void.
import type { Attempt, Mechanism } from "./history.ts";
import { judgeTickets } from "./verdict-tickets.ts";

/** A row of `coupon_issues`. */
export type StoredRow = {
  readonly seq: number;
  readonly userId: string;
  readonly code: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly issuedAt: string;
  readonly ticket: number | null;
};

/** What the database holds of one event, in one snapshot; rows in order of `seq`. */
export type StoredSale = {
  readonly issued: number;
  readonly rows: readonly StoredRow[];
};

export type Violation = {
  readonly rule: string;
  readonly person: string | null;
  readonly detail: string;
};

export type JudgedRun = {
  readonly mechanism: Mechanism;
  /** The limit that the event was created with. */
  readonly limit: number;
  readonly attempts: readonly Attempt[];
  readonly sale: StoredSale;
};

/** All that must not be, found in a finished run: nobody claims any more and nothing is queued. */
export function judge(run: JudgedRun): Violation[] {
  const people = byPerson(run.attempts);
  const rows = new Map(run.sale.rows.map((row) => [row.userId, row]));
  return [
    ...judgeRows(run, people),
    ...[...people].flatMap(([person, attempts]) => judgePerson(attempts, rows.get(person))),
    ...judgeSoldOut(run),
    ...(run.mechanism === "kafka-queue" ? judgeTickets(run, people) : judgeOrder(run, people)),
  ];
}

function byPerson(attempts: readonly Attempt[]): Map<string, Attempt[]> {
  const people = new Map<string, Attempt[]>();
  for (const attempt of attempts) {
    const own = people.get(attempt.person);
    if (own === undefined) people.set(attempt.person, [attempt]);
    else own.push(attempt);
  }
  return people;
}

function found(rule: string, person: string | null, detail: string): Violation {
  return { rule, person, detail };
}

/** Claims that may have had an effect. */
function effective(attempts: readonly Attempt[]): Attempt[] {
  return attempts.filter(({ kind, outcome }) => kind === "claim" && outcome !== "refused");
}

function judgeRows(
  { sale, limit }: JudgedRun,
  people: ReadonlyMap<string, Attempt[]>,
): Violation[] {
  const violations: Violation[] = [];
  const all = [...people.values()];
  // A claim without an answer may or may not have a row, so it widens what is right.
  const possible = all.filter((own) => effective(own).length > 0).length;
  const certain = all.filter((own) =>
    effective(own).some(({ outcome }) => outcome !== "unknown"),
  ).length;
  const count = sale.rows.length;
  const [least, most] = [Math.min(limit, certain), Math.min(limit, possible)];
  if (count < least || count > most) {
    const expected = least === most ? `${most}` : `${least} to ${most}`;
    violations.push(found("row-count", null, `${count} rows where ${expected} are right`));
  }
  if (sale.issued !== count) {
    const detail = `events.issued is ${sale.issued}, but there are ${count} rows`;
    violations.push(found("issued-counter", null, detail));
  }
  const users = new Set<string>();
  const codes = new Set<string>();
  for (const [index, { seq, userId, code }] of sale.rows.entries()) {
    if (seq !== index + 1) {
      violations.push(found("seq-gap", userId, `row ${index + 1} in order has seq ${seq}`));
    }
    if (users.has(userId)) violations.push(found("two-rows", userId, `seq ${seq} is one more row`));
    if (codes.has(code)) violations.push(found("code-twice", userId, `seq ${seq} repeats a code`));
    users.add(userId);
    codes.add(code);
    if (effective(people.get(userId) ?? []).length === 0) {
      const detail = `seq ${seq}, but this person never claimed, or was refused every time`;
      violations.push(found("row-without-claim", userId, detail));
    }
  }
  return violations;
}

function judgePerson(attempts: readonly Attempt[], row: StoredRow | undefined): Violation[] {
  const violations: Violation[] = [];
  const person = attempts[0]?.person ?? "";
  const issued = attempts.filter(({ outcome }) => outcome === "issued" || outcome === "replay");
  const soldOut = attempts.find(({ outcome }) => outcome === "sold-out");
  for (const told of issued) {
    const words = `told seq ${told.seq}, code ${told.code}`;
    if (row === undefined) violations.push(found("issued-without-row", person, words));
    else if (!isSame(told, row)) {
      const detail = `${words} at ${told.issuedAt}; the row: ${row.seq}, ${row.code}, ${row.issuedAt}`;
      violations.push(found("issued-otherwise", person, detail));
    }
  }
  if (row !== undefined && soldOut !== undefined) {
    violations.push(found("sold-out-with-row", person, `told sold out, but has seq ${row.seq}`));
  }
  if (issued.length > 0 && soldOut !== undefined) {
    violations.push(found("contradiction", person, "told issued and told sold out"));
  }
  if (new Set(issued.map(({ seq, code }) => `${seq} ${code}`)).size > 1) {
    violations.push(found("contradiction", person, "told two different coupons"));
  }
  if (issued.filter(({ outcome }) => outcome === "issued").length > 1) {
    violations.push(found("contradiction", person, "told twice that the coupon is new (201)"));
  }
  return violations;
}

function isSame(told: Attempt, row: StoredRow): boolean {
  // The database keeps microseconds: cut and rounded milliseconds may differ by one.
  const apartMs = Math.abs(Date.parse(told.issuedAt ?? "") - Date.parse(row.issuedAt));
  return told.seq === row.seq && told.code === row.code && apartMs <= 1;
}

function judgeSoldOut({ attempts, sale, limit }: JudgedRun): Violation[] {
  const told = attempts.filter(({ outcome }) => outcome === "sold-out");
  if (told.length === 0 || sale.rows.length >= limit) return [];
  const detail = `${told.length} told sold out at ${sale.rows.length} of ${limit} rows`;
  return [found("sold-out-too-early", told[0]?.person ?? null, detail)];
}

/**
 * v1 and v2: rows in order of `seq` fix the order of effects; each must lie between its person's
 * first sending and the first answer that presupposes it. For a fixed order "as early as possible"
 * is optimal, so one pass decides whether any legal order of moments exists.
 */
function judgeOrder(run: JudgedRun, people: ReadonlyMap<string, Attempt[]>): Violation[] {
  const soldOutMs = Math.min(
    ...run.attempts.flatMap((a) => (a.outcome === "sold-out" ? [a.returnedMs] : [])),
  );
  let currentMs = -Infinity;
  for (const { userId, seq } of run.sale.rows) {
    const own = people.get(userId) ?? [];
    const sentMs = Math.min(...effective(own).map((attempt) => attempt.sentMs));
    // A row nobody claimed is another rule's finding and has no moment to be placed at.
    if (sentMs === Infinity) continue;
    const told = own.filter(({ outcome }) => outcome === "issued" || outcome === "replay");
    const latestMs = Math.min(soldOutMs, ...told.map(({ returnedMs }) => returnedMs));
    currentMs = Math.max(currentMs, sentMs);
    if (currentMs > latestMs) {
      const detail =
        `seq ${seq} needs a moment before ${latestMs.toFixed(3)} ms, but an earlier seq or the ` +
        `claim itself was sent only at ${currentMs.toFixed(3)} ms`;
      return [found("order", userId, detail)];
    }
  }
  return [];
}
