// What the rows themselves have to be, whatever anybody was told.
import { objection, type Objection } from "./findings.ts";
import type { Person, Sale } from "./people.ts";
import { JUDGES_WINDOW_UNDER_LOCK } from "./run.ts";
import type { Row } from "./run.ts";

/** At least 128 random bits in Crockford's base 32. */
const codeForm = /^[0-9A-HJKMNP-TV-Z]{26}$/;

/** Conditions 1 and 3 of the order rule, and what else is to be said of rows alone. */
export function judgeRows(sale: Sale): Objection[] {
  return [
    ...judgeCount(sale),
    ...sale.rows.flatMap((row, index) => judgeRow(sale, row, index + 1)),
    ...[...sale.people.values()].flatMap((person) => judgeOwner(sale, person)),
  ];
}

function judgeCount({ event, rows }: Sale): Objection[] {
  const objections: Objection[] = [];
  const { limit, issued } = event;
  if (rows.length > limit) {
    const detail = `${rows.length} rows of at most ${limit}`;
    const persons = rows.slice(limit).map(({ userId }) => userId);
    objections.push(objection("S1", detail, { condition: 1, persons }));
  }
  if (issued !== rows.length) {
    const detail = `events.issued is ${issued}, but there are ${rows.length} rows`;
    objections.push(objection("S24", detail));
  }
  const limitAtStart = event.limitAtStart ?? limit;
  if (limitAtStart > limit) {
    objections.push(objection("S20", `the limit fell from ${limitAtStart} to ${limit}`));
  }
  return objections;
}

function judgeRow({ event, people }: Sale, row: Row, place: number): Objection[] {
  const objections: Objection[] = [];
  const { seq, userId, code, issuedAt } = row;
  const persons = [userId];
  if (seq !== place) {
    const detail = `the row in place ${place} has seq ${seq}`;
    objections.push(objection("S24", detail, { condition: 1, persons }));
  }
  if (!codeForm.test(code)) {
    const detail = `the code of seq ${seq} is not 26 characters of Crockford's base 32`;
    objections.push(objection("S21", detail, { persons }));
  }
  const issuedMs = Date.parse(issuedAt);
  if (Number.isNaN(issuedMs)) {
    objections.push(objection("S22", `seq ${seq} was issued at no time: ${issuedAt}`, { persons }));
  }
  const opensMs = Date.parse(event.opensAt ?? "");
  if (issuedMs < opensMs) {
    const detail = `seq ${seq} was issued at ${issuedAt}, before the opening at ${event.opensAt}`;
    objections.push(objection("S22", detail, { persons }));
  }
  // Elsewhere a claim that passed the door in time stays in time, however late its row is.
  const closesMs = Date.parse(event.closesAt ?? "");
  if (JUDGES_WINDOW_UNDER_LOCK.has(event.mechanism) && issuedMs >= closesMs) {
    const detail = `seq ${seq} was issued at ${issuedAt}, not before the close at ${event.closesAt}`;
    objections.push(objection("S22", detail, { persons }));
  }
  if (people.get(userId)?.firstClaim === null) objections.push(unclaimed(people.get(userId), seq));
  return objections;
}

function unclaimed(person: Person | undefined, seq: number): Objection {
  const refused = person?.refusedClaim ?? null;
  const [name] = [person?.name ?? ""];
  const shown = { condition: 3, persons: [name], attempts: [refused] } as const;
  return refused === null
    ? objection("S4", `seq ${seq} is ${name}'s, who never claimed`, shown)
    : objection("S19", `seq ${seq} is ${name}'s, whose every claim was refused`, shown);
}

function judgeOwner({ clockErrorMs }: Sale, { name, rows, firstClaim }: Person): Objection[] {
  const objections: Objection[] = [];
  if (rows.length > 1) {
    const detail = `${name} has the rows ${rows.map(({ seq }) => seq).join(", ")}`;
    objections.push(objection("S2", detail, { condition: 1, persons: [name] }));
  }
  for (const { seq, committedMs = null } of rows) {
    if (committedMs === null || firstClaim === null) continue;
    if (committedMs + clockErrorMs < firstClaim.sentMs) {
      const detail = `seq ${seq} was committed at ${committedMs} ms, before ${name} claimed`;
      objections.push(objection("S4", detail, { persons: [name], attempts: [firstClaim] }));
    }
  }
  return objections;
}

/** One code in two rows, of one event or of two. */
export function repeatedCodes(rows: readonly Row[]): ReadonlyMap<string, readonly Row[]> {
  const first = new Map<string, Row>();
  const repeated = new Map<string, Row[]>();
  for (const row of rows) {
    const known = first.get(row.code);
    if (known === undefined) first.set(row.code, row);
    else repeated.set(row.code, [...(repeated.get(row.code) ?? [known]), row]);
  }
  return repeated;
}
