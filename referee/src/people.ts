import type { Attempt, JudgedRun, LogRecord, RedisSale, Row, SaleEvent } from "./run.ts";

/** All that one person did and was told, in the order of the history. */
export type Person = {
  readonly name: string;
  readonly attempts: Attempt[];
  readonly rows: Row[];
  /** The earliest sending of a claim that may have had an effect, that is, was not refused. */
  firstClaim: Attempt | null;
  /** The earliest return of "issued", by a claim or a status; likewise of "sold out". */
  firstIssued: Attempt | null;
  firstSoldOut: Attempt | null;
  firstVoided: Attempt | null;
  /** A claim without a known outcome: it may have had its effect at any time after its sending. */
  unknownClaim: Attempt | null;
  refusedClaim: Attempt | null;
};

/** One event of a run with everything that belongs to it. */
export type Sale = {
  readonly event: SaleEvent;
  readonly attempts: readonly Attempt[];
  /** In order of `seq`. */
  readonly rows: readonly Row[];
  readonly people: ReadonlyMap<string, Person>;
  /** Whose row a code stands in. */
  readonly rowOfCode: ReadonlyMap<string, Row>;
  readonly log: readonly LogRecord[] | null;
  readonly redis: RedisSale | null;
  /** The earliest return of "sold out" to anybody; likewise of "voided". */
  readonly firstSoldOut: Attempt | null;
  readonly firstVoided: Attempt | null;
  readonly clockErrorMs: number;
};

type Gathered = {
  readonly event: SaleEvent;
  readonly attempts: Attempt[];
  readonly rows: Row[];
};

/** Sorts a run by its events; throws where something belongs to none of them. */
export function salesOf(run: JudgedRun): Sale[] {
  const gathered = new Map<string, Gathered>();
  for (const event of run.events) {
    if (gathered.has(event.eventId)) throw new Error(`Event ${event.eventId} is there twice.`);
    gathered.set(event.eventId, { event, attempts: [], rows: [] });
  }
  const owner = (eventId: string, what: string): Gathered => {
    const sale = gathered.get(eventId);
    if (sale === undefined)
      throw new Error(`The run has ${what} of ${eventId}, but no such event.`);
    return sale;
  };
  for (const attempt of run.history) owner(attempt.eventId, "an attempt").attempts.push(attempt);
  for (const row of run.rows) owner(row.eventId, "a row").rows.push(row);
  for (const eventId of run.log?.keys() ?? []) owner(eventId, "a log");
  for (const { eventId } of run.redis ?? []) owner(eventId, "a state of Redis");
  return [...gathered.values()].map((sale) => saleOf(run, sale));
}

function saleOf(run: JudgedRun, { event, attempts, rows }: Gathered): Sale {
  rows.sort((a, b) => a.seq - b.seq);
  const people = new Map<string, Person>();
  let firstSoldOut: Attempt | null = null;
  let firstVoided: Attempt | null = null;
  for (const attempt of attempts) {
    note(personOf(people, attempt.person), attempt);
    if (attempt.outcome === "sold-out") firstSoldOut = earlierReturn(firstSoldOut, attempt);
    if (attempt.outcome === "voided") firstVoided = earlierReturn(firstVoided, attempt);
  }
  const rowOfCode = new Map<string, Row>();
  for (const row of rows) {
    personOf(people, row.userId).rows.push(row);
    rowOfCode.set(row.code, row);
  }
  return {
    event,
    attempts,
    rows,
    people,
    rowOfCode,
    log: run.log?.get(event.eventId) ?? null,
    redis: run.redis?.find(({ eventId }) => eventId === event.eventId) ?? null,
    firstSoldOut,
    firstVoided,
    clockErrorMs: run.clockErrorMs ?? 0,
  };
}

function personOf(people: Map<string, Person>, name: string): Person {
  const known = people.get(name);
  if (known !== undefined) return known;
  const person: Person = {
    name,
    attempts: [],
    rows: [],
    firstClaim: null,
    firstIssued: null,
    firstSoldOut: null,
    firstVoided: null,
    unknownClaim: null,
    refusedClaim: null,
  };
  people.set(name, person);
  return person;
}

function note(person: Person, attempt: Attempt): void {
  person.attempts.push(attempt);
  const { kind, outcome } = attempt;
  if (outcome === "issued" || outcome === "replay") {
    person.firstIssued = earlierReturn(person.firstIssued, attempt);
  } else if (outcome === "sold-out") {
    person.firstSoldOut = earlierReturn(person.firstSoldOut, attempt);
  } else if (outcome === "voided") {
    person.firstVoided = earlierReturn(person.firstVoided, attempt);
  }
  if (kind === "status") return;
  if (outcome === "refused") {
    person.refusedClaim ??= attempt;
    return;
  }
  if (person.firstClaim === null || attempt.sentMs < person.firstClaim.sentMs) {
    person.firstClaim = attempt;
  }
  if (outcome !== "unknown") return;
  if (person.unknownClaim === null || attempt.sentMs < person.unknownClaim.sentMs) {
    person.unknownClaim = attempt;
  }
}

function earlierReturn(known: Attempt | null, attempt: Attempt): Attempt {
  return known === null || attempt.returnedMs < known.returnedMs ? attempt : known;
}
