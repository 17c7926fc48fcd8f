// v3 from the inside: the log is the order, and whoever reads it can recompute the winners. Records
// are read here by their written form alone, so that a decider that misreads one is found.
import { objection, type Objection } from "./findings.ts";
import type { Person, Sale } from "./people.ts";
import type { Attempt, LogRecord } from "./run.ts";

/** What a record is: a claim, nothing of ours, or of a newer build, where deciding has to stop. */
type Reading =
  | { readonly kind: "claim"; readonly person: string }
  | { readonly kind: "unreadable" | "newer" };

const valueBytesMax = 1_024;
/** Who a person may be, and who one was in records of the schemas before the last. */
const personForms = { now: /^[\x21-\x7e]{1,255}$/, before: /^[A-Za-z0-9._~@-]{1,64}$/ };
const codeForm = /^[0-9A-HJKMNP-TV-Z]{26}$/;
/** The last schema of a claim, and the first one, in which a record brought a code. */
const schemas = { now: 3, withCode: 1 };
const unreadable = { kind: "unreadable" } as const;

type Read = { readonly offset: number; readonly reading: Reading };

/** Judges rows and tickets by the whole log of the event. */
export function judgeLog(sale: Sale, log: readonly LogRecord[]): Objection[] {
  const records: Read[] = log
    .toSorted((a, b) => a.offset - b.offset)
    .map((record) => ({ offset: record.offset, reading: readRecord(sale.event.eventId, record) }));
  return [
    ...judgeExtent(sale, records),
    ...judgeWinners(sale, records),
    ...judgePromises(sale, records),
    ...judgeSources(sale, records),
  ];
}

function readRecord(eventId: string, { key, value }: LogRecord): Reading {
  if (value === null || Buffer.byteLength(value) > valueBytesMax) return unreadable;
  const body = parsed(value);
  if (body === null) return unreadable;
  const { schema, userId, code } = body;
  if (typeof schema !== "number" || !Number.isSafeInteger(schema) || schema < 1) return unreadable;
  if (schema > schemas.now) return { kind: "newer" };
  if (body["eventId"] !== eventId || typeof userId !== "string" || userId !== key)
    return unreadable;
  if (!personForms[schema === schemas.now ? "now" : "before"].test(userId)) return unreadable;
  const hasCode = typeof code === "string" && codeForm.test(code);
  if (schema === schemas.withCode && !hasCode) return unreadable;
  return { kind: "claim", person: userId };
}

type Body = { readonly [name: string]: unknown } & {
  readonly schema?: unknown;
  readonly userId?: unknown;
  readonly code?: unknown;
};

function parsed(value: string): Body | null {
  try {
    const body: unknown = JSON.parse(value);
    return typeof body === "object" && body !== null && !Array.isArray(body) ? { ...body } : null;
  } catch {
    // Anybody may have written to the log; what is no JSON is no claim.
    return null;
  }
}

/** The log has to reach from 0 to the mark, or there is nothing to recompute from. */
function judgeExtent({ event, rows, firstVoided }: Sale, records: readonly Read[]): Objection[] {
  const objections: Objection[] = [];
  const gap = records.findIndex(({ offset }, index) => offset !== index);
  if (gap >= 0) {
    const detail = `the log has offset ${records[gap]?.offset} where ${gap} is due`;
    objections.push(objection("S10", detail));
  }
  const end = (records.at(-1)?.offset ?? -1) + 1;
  const decided = event.decided ?? end;
  if (decided > end) {
    objections.push(objection("S10", `the mark is ${decided}, but the log ends at ${end}`));
  }
  const newer = records.find(({ reading }) => reading.kind === "newer")?.offset ?? Infinity;
  if (decided > newer) {
    const detail = `the mark is ${decided}, beyond the record of a newer build at ${newer}`;
    objections.push(objection("S10", detail));
  }
  const isDue = rows.length < event.limit && firstVoided === null;
  if (decided < Math.min(end, newer) && isDue) {
    const detail = `the mark is ${decided} of ${end}, at ${rows.length} of ${event.limit} rows`;
    objections.push(objection("L2", detail));
  }
  return objections;
}

/** The rows are the first `limit` distinct persons below the mark, each with their first ticket. */
function judgeWinners({ event, rows }: Sale, records: readonly Read[]): Objection[] {
  const winners = new Map<string, number>();
  for (const { offset, reading } of records) {
    if (winners.size === event.limit || offset >= (event.decided ?? Infinity)) break;
    if (reading.kind === "newer") break;
    if (reading.kind === "claim" && !winners.has(reading.person)) {
      winners.set(reading.person, offset);
    }
  }
  let place = 0;
  for (const [person, ticket] of winners) {
    const row = rows[place++];
    if (row?.userId === person && row.ticket === ticket) continue;
    const held =
      row === undefined
        ? "there is no such row"
        : `the row is ${row.userId}'s, ticket ${row.ticket}`;
    const detail = `by the log seq ${place} is ${person}'s, ticket ${ticket}; ${held}`;
    const persons = row === undefined || row.userId === person ? [person] : [person, row.userId];
    // The rows behind the first wrong one are shifted, which says nothing new.
    return [objection("S10", detail, { persons })];
  }
  const beyond = rows[place];
  if (beyond === undefined) return [];
  const detail = `seq ${beyond.seq} is ${beyond.userId}'s, who is no winner by the log`;
  return [objection("S10", detail, { persons: [beyond.userId] })];
}

/** Whoever was told a ticket has the record there. */
function judgePromises({ attempts }: Sale, records: readonly Read[]): Objection[] {
  const byOffset = new Map(records.map(({ offset, reading }) => [offset, reading]));
  return attempts.flatMap((attempt) => {
    const { kind, person, ticket } = attempt;
    if (kind !== "claim" || ticket === null) return [];
    const reading = byOffset.get(ticket);
    if (reading?.kind === "claim" && reading.person === person) return [];
    const there = reading === undefined ? "no record" : "another record";
    const detail = `${person} was told ticket ${ticket}, where the log has ${there}`;
    return [objection("S11", detail, { persons: [person], attempts: [attempt] })];
  });
}

/**
 * Every record is that of a claim. A claim that was answered without a ticket, by a refusal above
 * all, has none; one without an answer may have one, or more than one after a restart.
 */
function judgeSources(sale: Sale, records: readonly Read[]): Objection[] {
  const told = new Set(
    sale.attempts.flatMap(({ kind, ticket }) =>
      kind === "claim" && ticket !== null ? [ticket] : [],
    ),
  );
  const highestBefore = ticketsReturnedBefore(sale.attempts);
  return records.flatMap(({ offset, reading }) => {
    if (reading.kind !== "claim" || told.has(offset)) return [];
    const person = sale.people.get(reading.person);
    const shown = { persons: [reading.person] };
    if (person === undefined || person.attempts.every(({ kind }) => kind === "status")) {
      return [objection("S4", `record ${offset} is ${reading.person}'s, who never claimed`, shown)];
    }
    const { unknownClaim } = person;
    if (unknownClaim === null) return [unaccounted(person, offset)];
    const highest = highestBefore(unknownClaim.sentMs);
    if (highest === null || Number(highest.ticket) < offset) return [];
    const detail =
      `${highest.person} had ticket ${highest.ticket} before ${person.name} sent the claim that ` +
      `record ${offset} can be of`;
    const persons = [highest.person, person.name];
    return [objection("S6", detail, { persons, attempts: [highest, unknownClaim] })];
  });
}

function unaccounted({ name, refusedClaim }: Person, offset: number): Objection {
  const detail = `record ${offset} is ${name}'s, whose claims all have an answer, none of them ticket ${offset}`;
  return objection("S19", detail, { persons: [name], attempts: [refusedClaim] });
}

/** A lookup of the highest ticket answered before a moment. */
function ticketsReturnedBefore(attempts: readonly Attempt[]): (ms: number) => Attempt | null {
  const highest: Attempt[] = [];
  const claims = attempts.filter(({ kind, ticket }) => kind === "claim" && ticket !== null);
  for (const claim of claims.toSorted((a, b) => a.returnedMs - b.returnedMs)) {
    const last = highest.at(-1);
    // Keeping only what is higher than all before makes both times and tickets ascend.
    if (last === undefined || Number(claim.ticket) > Number(last.ticket)) highest.push(claim);
  }
  return (ms) => {
    let [low, high] = [0, highest.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((highest[middle]?.returnedMs ?? Infinity) < ms) low = middle + 1;
      else high = middle;
    }
    return highest[low - 1] ?? null;
  };
}
