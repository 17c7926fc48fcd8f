// The rules for v3, where the log is the order: the tickets that people were told are what the
// outside knows of it.
import type { Attempt } from "./history.ts";
import type { JudgedRun, StoredRow, StoredSale, Violation } from "./verdict.ts";

/** Judges a queue that has been decided to its end. */
export function judgeTickets(
  { sale, limit }: JudgedRun,
  people: ReadonlyMap<string, readonly Attempt[]>,
): Violation[] {
  const rows = new Map(sale.rows.map((row) => [row.userId, row]));
  const lastWinning = sale.rows.reduce((last, { ticket }) => Math.max(last, ticket ?? -1), -1);
  return [
    ...judgeLogOrder(sale),
    ...judgeOwners(people),
    ...[...people.values()].flatMap((attempts) => {
      const row = rows.get(attempts[0]?.person ?? "");
      return row === undefined ? judgeLoser(attempts, lastWinning) : judgeWinner(attempts, row);
    }),
    ...[...people.values()].flatMap((attempts) => judgeGuarantees(attempts, limit)),
  ];
}

function judgeLogOrder(sale: StoredSale): Violation[] {
  const violations: Violation[] = [];
  let last = -1;
  for (const { seq, ticket, userId: person } of sale.rows) {
    if (ticket === null || ticket <= last) {
      const detail = `seq ${seq} has ticket ${ticket} after ticket ${last}`;
      violations.push({ rule: "ticket-order", person, detail });
    }
    last = ticket ?? last;
  }
  return violations;
}

function judgeOwners(people: ReadonlyMap<string, readonly Attempt[]>): Violation[] {
  const violations: Violation[] = [];
  const owners = new Map<number, string>();
  for (const [person, attempts] of people) {
    for (const ticket of new Set(toldTickets(attempts))) {
      const owner = owners.get(ticket);
      if (owner !== undefined) {
        violations.push({
          rule: "ticket-twice",
          person,
          detail: `ticket ${ticket}: ${owner}'s too`,
        });
      }
      owners.set(ticket, person);
    }
  }
  return violations;
}

function toldTickets(attempts: readonly Attempt[]): number[] {
  return attempts.flatMap(({ kind, ticket }) =>
    kind === "claim" && ticket !== null ? [ticket] : [],
  );
}

function judgeWinner(attempts: readonly Attempt[], row: StoredRow): Violation[] {
  const told = toldTickets(attempts);
  if (told.length === 0) return [];
  const first = Math.min(...told);
  // An unanswered claim may have an earlier record than any that the person was told of.
  const earlier = attempts.some(({ kind, outcome }) => kind === "claim" && outcome === "unknown");
  const ticket = row.ticket ?? Infinity;
  if (ticket === first || (earlier && ticket < first)) return [];
  const detail = `told ticket ${first}, the row has ${row.ticket}`;
  return [{ rule: "ticket-otherwise", person: row.userId, detail }];
}

function judgeLoser(attempts: readonly Attempt[], lastWinning: number): Violation[] {
  const told = toldTickets(attempts);
  if (told.length === 0) return [];
  const violations: Violation[] = [];
  const person = attempts[0]?.person ?? "";
  const first = Math.min(...told);
  if (first < lastWinning) {
    const detail = `ticket ${first} has no row, ticket ${lastWinning} has one`;
    violations.push({ rule: "passed-over", person, detail });
  }
  if (attempts.some(({ guaranteed }) => guaranteed === true)) {
    const detail = `ticket ${first} was guaranteed and has no row`;
    violations.push({ rule: "guarantee-broken", person, detail });
  }
  const asked = attempts.filter(
    ({ kind, ticketAsked }) => kind === "status" && ticketAsked !== null,
  );
  if (asked.some(({ status, outcome }) => status === 200 && outcome === "none")) {
    violations.push({ rule: "ticket-lost", person, detail: `ticket ${first} was answered "none"` });
  }
  return violations;
}

function judgeGuarantees(attempts: readonly Attempt[], limit: number): Violation[] {
  return attempts.flatMap(({ person, ticket, guaranteed }) => {
    if (ticket === null || guaranteed === ticket < limit) return [];
    const detail = `ticket ${ticket} of limit ${limit} was told guaranteed: ${guaranteed}`;
    return [{ rule: "guarantee-wrong", person, detail }];
  });
}
