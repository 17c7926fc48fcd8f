// Small random sales with the rows that they left: some played by the rules, some spoilt afterwards.
// Times are small whole numbers, so that equal ones, where mistakes like to hide, are frequent.
import type { Attempt, Outcome, Row, SaleEvent } from "@stampede/referee";
import { drawOf } from "./draw.ts";
import type { Draw } from "./draw.ts";

export type SmallHistory = {
  readonly event: SaleEvent;
  readonly history: Attempt[];
  readonly rows: Row[];
};

type Mutable<Value> = { -readonly [Name in keyof Value]: Value[Name] };
type Draft = {
  limit: number;
  readonly history: Mutable<Attempt>[];
  readonly rows: Mutable<Row>[];
};

export const eventId = "small";
export const people = ["ana", "ben", "cem"] as const;
const issuedAt = "2026-12-01T00:00:00.000Z";
const told: readonly Outcome[] = ["issued", "replay", "sold-out", "unknown", "refused", "none"];
const operationsMin = 2;
const operationsMax = 6;

/** The history number `index` of a seed, always the same. */
export function smallHistory(seed: number, index: number): SmallHistory {
  const draw = drawOf(seed, index);
  const draft = play(draw);
  // Two of three are spoilt; some of those are still right, and look as if they were not.
  const wounds = draw(3) === 0 ? 0 : 1 + draw(3);
  for (let wound = 0; wound < wounds; wound++) spoil(draft, draw);
  const { limit, history, rows } = draft;
  const event = { eventId, mechanism: "row-lock", limit, issued: rows.length } as const;
  return { event, history, rows };
}

/** Lets some people claim and ask in a fixed order of moments, by the rules of the sale. */
function play(draw: Draw): Draft {
  const limit = 1 + draw(2);
  const crowd = 1 + draw(people.length);
  const count = operationsMin + draw(operationsMax - operationsMin + 1);
  const draft: Draft = { limit, history: [], rows: [] };
  let moment = 0;
  for (let id = 0; id < count; id++) {
    moment += draw(4);
    const person = people[draw(crowd)]!;
    const attempt = asked(id, person, draw(5) === 0 ? "status" : "claim");
    attempt.sentMs = moment - draw(5);
    attempt.returnedMs = moment + draw(5);
    act(draft, attempt, draw);
    draft.history.push(attempt);
  }
  return draft;
}

function asked(id: number, person: string, kind: Attempt["kind"]): Mutable<Attempt> {
  return {
    id,
    kind,
    person,
    eventId,
    sentMs: 0,
    returnedMs: 0,
    status: null,
    outcome: "none",
    seq: null,
    code: null,
    issuedAt: null,
    ticket: null,
    ahead: null,
    guaranteed: null,
    ticketAsked: null,
  };
}

function act({ limit, rows }: Draft, attempt: Mutable<Attempt>, draw: Draw): void {
  const { kind, person } = attempt;
  const fate = draw(16);
  if (kind === "claim" && fate < 2) {
    attempt.outcome = "refused";
    return;
  }
  const lost = fate < 6;
  if (kind === "claim" && lost) {
    attempt.outcome = "unknown";
    // Given up at any time, also long before it takes effect.
    attempt.returnedMs = attempt.sentMs + draw(4);
    if (draw(2) === 0) return;
  }
  let row = rows.find(({ userId }) => userId === person);
  const isNew = kind === "claim" && row === undefined && rows.length < limit;
  if (isNew) {
    row = {
      eventId,
      seq: rows.length + 1,
      userId: person,
      code: codeOf(person),
      issuedAt,
      ticket: null,
    };
    rows.push(row);
  }
  if (kind === "claim" && lost) return;
  if (row !== undefined) tell(attempt, isNew ? "issued" : "replay", row);
  else if (rows.length === limit) attempt.outcome = "sold-out";
}

function tell(attempt: Mutable<Attempt>, outcome: Outcome, row: Row | undefined): void {
  attempt.outcome = outcome;
  if (outcome !== "issued" && outcome !== "replay") return;
  attempt.seq = row?.seq ?? 1;
  attempt.code = row?.code ?? codeOf(attempt.person);
  attempt.issuedAt = issuedAt;
}

/** 26 characters, different for everybody. */
export function codeOf(person: string): string {
  const known = codes.get(person) ?? String(people.length).padStart(26, "0");
  return known;
}

const codes = new Map<string, string>(
  people.map((person, index) => [person, String(index).padStart(26, "0")]),
);

/** One small lie: about a time, an answer, a row or the limit. */
function spoil(draft: Draft, draw: Draw): void {
  const attempt = draft.history[draw(draft.history.length)]!;
  const kind = draw(12);
  if (kind < 3) {
    const shift = draw(17) - 8;
    attempt.sentMs += shift;
    attempt.returnedMs = Math.max(attempt.sentMs, attempt.returnedMs + shift + draw(5) - 2);
  } else if (kind < 6) {
    const outcome = told[draw(attempt.kind === "status" ? 3 : 5)]!;
    tell(
      attempt,
      outcome,
      draft.rows.find(({ userId }) => userId === attempt.person),
    );
  } else if (kind === 6) {
    attempt.person = people[draw(people.length)]!;
  } else if (kind === 7 && attempt.seq !== null) {
    if (draw(2) === 0) attempt.seq = 1 + draw(3);
    else attempt.code = codeOf(people[draw(people.length)]!);
  } else if (kind === 8) {
    draft.limit = 1 + draw(2);
  } else if (kind === 9) {
    exchangePlaces(draft);
  } else spoilRows(draft.rows, draw);
}

/** Two winners change places, and everybody is told so: nothing but the time speaks against it. */
function exchangePlaces({ rows, history }: Draft): void {
  if (rows.length !== 2) return;
  for (const row of rows) row.seq = 3 - row.seq;
  for (const attempt of history) if (attempt.seq !== null) attempt.seq = 3 - attempt.seq;
}

function spoilRows(rows: Mutable<Row>[], draw: Draw): void {
  const row = rows[draw(rows.length)];
  switch (draw(4)) {
    case 0:
      rows.pop();
      return;
    case 1: {
      const person = people.find((name) => rows.every(({ userId }) => userId !== name));
      if (person === undefined) return;
      const seq = rows.length + 1;
      rows.push({ eventId, seq, userId: person, code: codeOf(person), issuedAt, ticket: null });
      return;
    }
    case 2:
      if (row !== undefined) row.userId = people[draw(people.length)]!;
      return;
    default:
      if (row !== undefined) row.seq = 1 + draw(3);
  }
}
