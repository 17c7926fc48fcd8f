// Runs written by hand, in few words: who was told what, and what the engines held in the end.
import assert from "node:assert/strict";
import { after } from "node:test";
import { judge } from "@stampede/referee";
import type {
  Attempt,
  Finding,
  Invariant,
  LogRecord,
  RedisSale,
  Row,
  SaleEvent,
} from "@stampede/referee";

export const eventId = "spring";
export const issuedAt = "2026-12-01T00:00:00.123Z";

/** What is not said is as in a sale of two coupons that was right. */
export type Sketch = {
  readonly event?: Partial<SaleEvent>;
  readonly attempts: readonly Attempt[];
  readonly rows: readonly Row[];
  readonly log?: readonly LogRecord[];
  readonly redis?: Partial<RedisSale>;
};

export function findingsOf({ event, attempts, rows, log, redis }: Sketch): Finding[] {
  const held = { eventId, mechanism: "row-lock", limit: 2, issued: rows.length, ...event } as const;
  const finished = rows.length >= held.limit;
  const persons = finished ? [] : rows.map(({ userId }) => userId);
  const counter = redis?.persons?.length ?? persons.length;
  return judge({
    history: attempts,
    events: [held],
    rows,
    ...(log === undefined ? {} : { log: new Map([[eventId, log]]) }),
    ...(redis === undefined ? {} : { redis: [{ eventId, finished, counter, persons, ...redis }] }),
  });
}

/** 26 characters, another one for each person. */
export function codeOf(person: string): string {
  const letters = person.toUpperCase().replaceAll(/[ILOU]/g, "0");
  return letters.padEnd(26, "7");
}

export function row(seq: number, userId: string, more: Partial<Row> = {}): Row {
  return { eventId, seq, userId, code: codeOf(userId), issuedAt, ticket: null, ...more };
}

let nextId = 0;

export function attempt(person: string, more: Partial<Attempt>): Attempt {
  return {
    id: nextId++,
    kind: "claim",
    person,
    eventId,
    sentMs: 0,
    returnedMs: 100,
    status: null,
    outcome: "none",
    seq: null,
    code: null,
    issuedAt: null,
    ticket: null,
    ahead: null,
    guaranteed: null,
    ticketAsked: null,
    ...more,
  };
}

export function issued(person: string, seq: number, more: Partial<Attempt> = {}): Attempt {
  const coupon = { seq, code: codeOf(person), issuedAt };
  return attempt(person, { status: 201, outcome: "issued", ...coupon, ...more });
}

export function replay(person: string, seq: number, more: Partial<Attempt> = {}): Attempt {
  return issued(person, seq, { status: 200, outcome: "replay", ...more });
}

export function soldOut(person: string, more: Partial<Attempt> = {}): Attempt {
  return attempt(person, { status: 409, outcome: "sold-out", ...more });
}

export function refused(person: string, more: Partial<Attempt> = {}): Attempt {
  return attempt(person, { status: 503, outcome: "refused", ...more });
}

export function unanswered(person: string, more: Partial<Attempt> = {}): Attempt {
  return attempt(person, { outcome: "unknown", ...more });
}

/** A claim that got this ticket; two coupons unless `guaranteed` says otherwise. */
export function queued(person: string, ticket: number, more: Partial<Attempt> = {}): Attempt {
  const place = { ticket, ahead: ticket, guaranteed: ticket < 2 };
  return attempt(person, { status: 202, outcome: "queued", ...place, ...more });
}

/** Somebody asks what became of their claim, after all others. */
export function asked(person: string, more: Partial<Attempt>): Attempt {
  return attempt(person, { kind: "status", status: 200, sentMs: 200, returnedMs: 201, ...more });
}

export function record(offset: number, person: string, more: Partial<LogRecord> = {}): LogRecord {
  const claim = { schema: 2, eventId, userId: person };
  return { eventId, offset, key: person, value: JSON.stringify(claim), ...more };
}

/** Which kinds of finding each of the referee's tests shows by a bad run. */
export const kindsShown: Readonly<Record<"order" | "findings" | "queue", readonly Invariant[]>> = {
  order: ["S4", "S6", "S8"],
  findings: [
    "S1",
    "S2",
    "S3",
    "S4",
    "S5",
    "S7",
    "S9",
    "S16",
    "S17",
    "S18",
    "S19",
    "S20",
    "S21",
    "S22",
    "S24",
    "L1",
    "500",
  ],
  queue: [
    "S4",
    "S5",
    "S6",
    "S7",
    "S8",
    "S10",
    "S11",
    "S12",
    "S13",
    "S14",
    "S19",
    "S23",
    "S25",
    "L1",
    "L2",
  ],
};

const shown = new Set<Invariant>();

/** The test file shows exactly these kinds: what is promised above is what was really found. */
export function onlyShows(file: keyof typeof kindsShown): void {
  after(() => {
    // Not all tests run under a pattern.
    if (process.execArgv.some((option) => option.startsWith("--test-name-pattern"))) return;
    assert.deepEqual([...shown].sort(), [...kindsShown[file]].sort());
  });
}

export function isRight(sketch: Sketch): void {
  assert.deepEqual(findingsOf(sketch), []);
}

/** Exactly these invariants are broken, in any number. */
export function breaks(invariants: readonly Invariant[], sketch: Sketch): Finding[] {
  const findings = findingsOf(sketch);
  const found = [...new Set(findings.map(({ invariant }) => invariant))];
  assert.deepEqual(found.sort(), [...invariants].sort(), JSON.stringify(findings, null, 2));
  for (const invariant of found) shown.add(invariant);
  return findings;
}
