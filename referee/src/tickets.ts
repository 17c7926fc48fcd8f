// v3 as the outside sees it: the tickets that people were told, held against the rows. The log is the
// order here; where it is at hand too, log.ts recomputes the winners from it.
import { objection, type Objection } from "./findings.ts";
import { afterSoldOut } from "./order.ts";
import type { Person, Sale } from "./people.ts";
import type { Attempt } from "./run.ts";

/** Judges a queue that has been decided to its end. */
export function judgeTickets(sale: Sale): Objection[] {
  const claims = sale.attempts.filter(({ kind, ticket }) => kind === "claim" && ticket !== null);
  const lastWinning = sale.rows.reduce((last, { ticket }) => Math.max(last, ticket ?? -1), -1);
  return [
    ...judgeRowTickets(sale, lastWinning),
    ...judgeTicketOrder(claims),
    ...judgeOwners(claims),
    ...judgeSoldOutMoments(sale),
    ...[...sale.people.values()].flatMap((person) => judgePerson(sale, person, lastWinning)),
  ];
}

function judgeRowTickets({ event, rows }: Sale, lastWinning: number): Objection[] {
  const objections: Objection[] = [];
  let last = -1;
  for (const { seq, ticket, userId } of rows) {
    const shown = { persons: [userId] };
    if (ticket === null || ticket <= last) {
      objections.push(objection("S10", `seq ${seq} has ticket ${ticket} after ${last}`, shown));
    }
    if (ticket !== null && ticket >= (event.decided ?? Infinity)) {
      const detail = `seq ${seq} has ticket ${ticket}, but the mark is ${event.decided}`;
      objections.push(objection("S14", detail, shown));
    }
    last = ticket ?? last;
  }
  const { lastWinningTicket = null, limit } = event;
  if (lastWinningTicket !== null && (rows.length < limit || lastWinningTicket !== lastWinning)) {
    const detail =
      `the last winning ticket is said to be ${lastWinningTicket}; ` +
      `there are ${rows.length} of ${limit} rows, the last has ticket ${lastWinning}`;
    objections.push(objection("S25", detail));
  }
  return objections;
}

/** A ticket that was answered before another claim was sent is below that claim's. */
function judgeTicketOrder(claims: readonly Attempt[]): Objection[] {
  const objections: Objection[] = [];
  const returned = claims.toSorted((a, b) => a.returnedMs - b.returnedMs);
  let next = 0;
  let highest: Attempt | null = null;
  for (const claim of claims.toSorted((a, b) => a.sentMs - b.sentMs)) {
    for (; next < returned.length; next++) {
      const earlier = returned[next];
      if (earlier === undefined || earlier.returnedMs >= claim.sentMs) break;
      if (highest === null || Number(earlier.ticket) > Number(highest.ticket)) highest = earlier;
    }
    if (highest === null || Number(claim.ticket) > Number(highest.ticket)) continue;
    const detail =
      `${highest.person} had ticket ${highest.ticket} before ${claim.person} claimed ` +
      `and got ticket ${claim.ticket}`;
    const persons = [highest.person, claim.person];
    objections.push(objection("S6", detail, { persons, attempts: [highest, claim] }));
  }
  return objections;
}

/** A record is one person's, so a ticket is. */
function judgeOwners(claims: readonly Attempt[]): Objection[] {
  const objections: Objection[] = [];
  const owners = new Map<number, Attempt>();
  for (const claim of claims) {
    const ticket = Number(claim.ticket);
    const owner = owners.get(ticket);
    if (owner === undefined) owners.set(ticket, claim);
    else if (owner.person !== claim.person) {
      const persons = [owner.person, claim.person];
      const detail = `ticket ${ticket} was told to ${persons.join(" and ")}`;
      objections.push(objection("S11", detail, { persons, attempts: [owner, claim] }));
    }
  }
  return objections;
}

function judgeSoldOutMoments({ firstSoldOut, rows, people }: Sale): Objection[] {
  if (firstSoldOut === null) return [];
  return rows.flatMap(({ userId, seq, ticket }) => {
    const person = people.get(userId);
    if (person === undefined || person.firstClaim === null) return [];
    if (person.firstClaim.sentMs > firstSoldOut.returnedMs) {
      return [{ ...afterSoldOut(person, seq, firstSoldOut), condition: null }];
    }
    // The person had claimed before, but the record that won is that of a later claim.
    const winning = person.attempts.find((own) => own.kind === "claim" && own.ticket === ticket);
    if (winning === undefined || winning.sentMs <= firstSoldOut.returnedMs) return [];
    const detail = `${userId} won by ticket ${ticket}, claimed after ${firstSoldOut.person} was told sold out`;
    const persons = [userId, firstSoldOut.person];
    return [objection("S5", detail, { persons, attempts: [winning, firstSoldOut] })];
  });
}

function judgePerson(sale: Sale, person: Person, lastWinning: number): Objection[] {
  const told = new Map<number, Attempt>();
  for (const attempt of person.attempts) {
    const { kind, ticket } = attempt;
    if (kind === "claim" && ticket !== null && !told.has(ticket)) told.set(ticket, attempt);
  }
  const objections = [
    ...judgeStatuses(sale, { person, told, lastWinning }),
    ...judgeAhead(sale, person),
    ...judgeGuarantees(sale, person),
  ];
  if (person.rows[0] !== undefined && person.firstIssued !== null && person.firstClaim !== null) {
    if (person.firstIssued.returnedMs < person.firstClaim.sentMs) {
      const detail = `${person.name} was told issued before any claim that could have had an effect`;
      const attempts = [person.firstIssued, person.firstClaim];
      objections.push(objection("S4", detail, { persons: [person.name], attempts }));
    }
  }
  if (told.size === 0) return objections;
  const ticket = Math.min(...told.keys());
  const first = { ticket, attempt: told.get(ticket) ?? null };
  const place = person.rows[0] === undefined ? passedOver : otherTicket;
  return [...objections, ...place({ sale, person, first, lastWinning })];
}

type Placed = {
  readonly sale: Sale;
  readonly person: Person;
  /** The lowest ticket that the person was told. */
  readonly first: { readonly ticket: number; readonly attempt: Attempt | null };
  readonly lastWinning: number;
};

function otherTicket({ person, first }: Placed): Objection[] {
  const [row] = person.rows;
  const ticket = row?.ticket ?? Infinity;
  // A claim without an answer may have an earlier record than any that the person was told of.
  if (ticket === first.ticket || (person.unknownClaim !== null && ticket < first.ticket)) return [];
  const detail = `${person.name} was told ticket ${first.ticket}, the row has ${row?.ticket}`;
  return [objection("S10", detail, { persons: [person.name], attempts: [first.attempt] })];
}

function passedOver({ sale, person, first, lastWinning }: Placed): Objection[] {
  const shown = { persons: [person.name], attempts: [first.attempt] };
  const { limit } = sale.event;
  if (first.ticket < lastWinning) {
    const detail = `${person.name} has ticket ${first.ticket} and no row, ${lastWinning} has one`;
    return [objection("S10", detail, shown)];
  }
  if (sale.rows.length >= limit || sale.firstVoided !== null) return [];
  const detail = `${person.name} is queued with ticket ${first.ticket} and has no final answer`;
  return [objection("L2", `${detail} at ${sale.rows.length} of ${limit} rows`, shown)];
}

function judgeStatuses(
  { rows, event }: Sale,
  of: {
    readonly person: Person;
    readonly told: ReadonlyMap<number, Attempt>;
    readonly lastWinning: number;
  },
): Objection[] {
  const { person, told, lastWinning } = of;
  return person.attempts.flatMap((attempt) => {
    const { kind, status, outcome, ticketAsked, sentMs } = attempt;
    const claim = told.get(ticketAsked ?? -1);
    // Made-up tickets are not judged: they mislead only whoever made them up.
    if (kind !== "status" || claim === undefined || claim.returnedMs > sentMs) return [];
    const shown = { persons: [person.name], attempts: [claim, attempt] };
    if (outcome === "none" && status === 200) {
      const detail = `${person.name} was told "none" of ticket ${ticketAsked}`;
      return [objection("S11", detail, shown)];
    }
    if (outcome !== "sold-out") return [];
    if (rows.length >= event.limit && lastWinning < Number(ticketAsked)) return [];
    const detail =
      `${person.name} was told sold out for ticket ${ticketAsked} at ${rows.length} of ` +
      `${event.limit} rows, the last of them with ticket ${lastWinning}`;
    return [objection("S13", detail, shown)];
  });
}

/** `ahead` never grows for a ticket, whichever instance is asked, and fits where the mark ended. */
function judgeAhead({ event }: Sale, person: Person): Objection[] {
  const objections: Objection[] = [];
  const placed = person.attempts.filter(({ ticket, ahead }) => ticket !== null && ahead !== null);
  for (const attempt of placed) {
    const [ticket, ahead] = [Number(attempt.ticket), Number(attempt.ahead)];
    const least = Math.max(0, ticket - (event.decided ?? Infinity));
    if (ahead >= least && ahead <= ticket) continue;
    const detail = `ticket ${ticket} was told ahead ${ahead}: ${least} to ${ticket} is possible`;
    objections.push(objection("S12", detail, { persons: [person.name], attempts: [attempt] }));
  }
  if (placed.length < 2) return objections;
  const lowest = new Map<number, Attempt>();
  const returned = placed.toSorted((a, b) => a.returnedMs - b.returnedMs);
  let next = 0;
  for (const attempt of placed.toSorted((a, b) => a.sentMs - b.sentMs)) {
    for (; next < returned.length; next++) {
      const earlier = returned[next];
      if (earlier === undefined || earlier.returnedMs >= attempt.sentMs) break;
      const known = lowest.get(Number(earlier.ticket));
      if (known === undefined || Number(earlier.ahead) < Number(known.ahead)) {
        lowest.set(Number(earlier.ticket), earlier);
      }
    }
    const before = lowest.get(Number(attempt.ticket));
    if (before === undefined || Number(attempt.ahead) <= Number(before.ahead)) continue;
    const detail = `ahead of ticket ${attempt.ticket} grew from ${before.ahead} to ${attempt.ahead}`;
    const shown = { persons: [person.name], attempts: [before, attempt] };
    objections.push(objection("S12", detail, shown));
  }
  return objections;
}

function judgeGuarantees({ event, firstVoided }: Sale, person: Person): Objection[] {
  const { limit } = event;
  const limitAtStart = event.limitAtStart ?? limit;
  return person.attempts.flatMap((attempt) => {
    const { ticket, guaranteed } = attempt;
    if (ticket === null || guaranteed === null) return [];
    const shown = { persons: [person.name], attempts: [attempt] };
    // Between the first and the last limit, what was known then decides: either answer may be right.
    if (guaranteed ? ticket >= limit : ticket < limitAtStart) {
      const detail = `ticket ${ticket} of limit ${limit} was told guaranteed: ${guaranteed}`;
      return [objection("S23", detail, shown)];
    }
    // A person's own status may name a ticket that is not theirs: only a claim's answer is a promise.
    if (!guaranteed || attempt.kind !== "claim" || person.rows.length > 0) return [];
    if (firstVoided !== null) return [];
    return [objection("S23", `ticket ${ticket} was guaranteed and has no row`, shown)];
  });
}
