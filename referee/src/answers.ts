// What people were told, held against the rows. Conditions 2, 4 and 5 of the order rule are here.
import { objection, type Objection } from "./findings.ts";
import type { Person, Sale } from "./people.ts";
import { ORDERED_BY_A_LOG } from "./run.ts";
import type { Attempt, Row } from "./run.ts";

/** Judges all answers of one event. */
export function judgeAnswers(sale: Sale): Objection[] {
  const objections: Objection[] = [];
  for (const person of sale.people.values()) {
    if (person.firstIssued !== null) objections.push(...judgeIssued(sale, person));
    if (person.firstSoldOut !== null) objections.push(...judgeLoser(person, person.firstSoldOut));
  }
  for (const attempt of sale.attempts) {
    if (attempt.status !== 500) continue;
    const detail = `${attempt.person} was answered 500`;
    objections.push(objection("500", detail, { persons: [attempt.person], attempts: [attempt] }));
  }
  return [...objections, ...judgeSoldOut(sale), ...judgeVoided(sale)];
}

function judgeIssued(sale: Sale, person: Person): Objection[] {
  const { name, rows } = person;
  const told = person.attempts.filter(isIssued);
  const objections: Objection[] = [];
  for (const attempt of told) {
    const row = rows.find(({ seq, code }) => seq === attempt.seq && code === attempt.code);
    if (row === undefined) objections.push(withoutRow(sale, person, attempt));
    else objections.push(...judgeTimes(sale, attempt, row));
  }
  const [first] = told;
  const other = told.find(({ seq, code }) => seq !== first?.seq || code !== first?.code);
  if (first !== undefined && other !== undefined) {
    const detail = `${name} was told seq ${first.seq} and seq ${other.seq}, or two codes`;
    objections.push(objection("S9", detail, { persons: [name], attempts: [first, other] }));
  }
  const fresh = told.filter(({ outcome }) => outcome === "issued");
  if (fresh.length > 1) {
    const detail = `${name} was told ${fresh.length} times that the coupon is new (201)`;
    objections.push(objection("S9", detail, { persons: [name], attempts: fresh }));
  }
  if (person.firstSoldOut !== null) {
    const detail = `${name} was told issued and told sold out`;
    const attempts = [person.firstIssued, person.firstSoldOut];
    objections.push(objection("S7", detail, { persons: [name], attempts }));
  }
  return objections;
}

function isIssued({ outcome }: Attempt): boolean {
  return outcome === "issued" || outcome === "replay";
}

function withoutRow(sale: Sale, person: Person, attempt: Attempt): Objection {
  const { seq, code } = attempt;
  const { name, rows } = person;
  const owner = sale.rowOfCode.get(code ?? "");
  if (owner !== undefined && owner.userId !== name) {
    const detail = `${name} was shown the coupon of ${owner.userId}, seq ${owner.seq}`;
    const persons = [name, owner.userId];
    return objection("S18", detail, { condition: 2, persons, attempts: [attempt] });
  }
  const own = rows.map((row) => `seq ${row.seq}, code ${row.code}`).join("; ");
  const detail =
    `${name} was told seq ${seq}, code ${code}, and has ` + (own === "" ? "no row" : `only ${own}`);
  return objection("S3", detail, { condition: 2, persons: [name], attempts: [attempt] });
}

function judgeTimes({ clockErrorMs }: Sale, attempt: Attempt, row: Row): Objection[] {
  const objections: Objection[] = [];
  const { person, issuedAt, returnedMs } = attempt;
  const shown = { persons: [person], attempts: [attempt] };
  // The database keeps microseconds: cut and rounded milliseconds may differ by one.
  const apartMs = Math.abs(Date.parse(issuedAt ?? "") - Date.parse(row.issuedAt));
  if (!(apartMs <= 1)) {
    const detail = `${person} was told seq ${row.seq} of ${issuedAt}; the row says ${row.issuedAt}`;
    objections.push(objection("S3", detail, shown));
  }
  const committedMs = row.committedMs ?? -Infinity;
  if (returnedMs + clockErrorMs < committedMs) {
    const detail =
      `${person} was told seq ${row.seq} at ${returnedMs} ms, ` +
      `before it was committed at ${committedMs} ms`;
    objections.push(objection("S3", detail, shown));
  }
  return objections;
}

function judgeLoser({ name, rows }: Person, soldOut: Attempt): Objection[] {
  const [row] = rows;
  if (row === undefined) return [];
  const detail = `${name} was told sold out, but has seq ${row.seq}`;
  return [objection("S7", detail, { condition: 4, persons: [name], attempts: [soldOut] })];
}

/** Voided is final: of a queue only, told to nobody with a coupon, and nobody gets one after it. */
function judgeVoided({ event, rows, people, firstVoided, clockErrorMs }: Sale): Objection[] {
  if (firstVoided === null) return [];
  const shown = { persons: [firstVoided.person], attempts: [firstVoided] };
  const told = `${firstVoided.person} was told voided at ${firstVoided.returnedMs} ms`;
  const objections: Objection[] = [];
  if (!ORDERED_BY_A_LOG.has(event.mechanism)) {
    objections.push(objection("S7", `${told}, and ${event.mechanism} has no queue`, shown));
  }
  const late = rows.find(
    ({ committedMs }) => (committedMs ?? -Infinity) > firstVoided.returnedMs + clockErrorMs,
  );
  if (late !== undefined) {
    const detail = `${told}, and seq ${late.seq} was committed at ${late.committedMs} ms`;
    objections.push(objection("S7", detail, shown));
  }
  for (const { name, rows: own, firstVoided: attempt } of people.values()) {
    const [row] = own;
    if (attempt === null || row === undefined) continue;
    const detail = `${name} was told voided, but has seq ${row.seq}`;
    objections.push(objection("S7", detail, { persons: [name], attempts: [attempt] }));
  }
  return objections;
}

/** Whoever is told "sold out" is told so only when every coupon is a committed row. */
function judgeSoldOut({ event, rows, firstSoldOut, clockErrorMs }: Sale): Objection[] {
  if (firstSoldOut === null) return [];
  const shown = { persons: [firstSoldOut.person], attempts: [firstSoldOut] };
  const told = `${firstSoldOut.person} was told sold out`;
  // Too many rows are another finding: all coupons were gone, and more.
  if (rows.length < event.limit) {
    const detail = `${told} at ${rows.length} of ${event.limit} rows`;
    return [objection("S5", detail, { condition: 5, ...shown })];
  }
  const last = rows.reduce(
    (late, { committedMs }) => Math.max(late, committedMs ?? -Infinity),
    -Infinity,
  );
  if (firstSoldOut.returnedMs + clockErrorMs >= last) return [];
  const detail = `${told} at ${firstSoldOut.returnedMs} ms, the last row was committed at ${last} ms`;
  return [objection("S5", detail, shown)];
}
