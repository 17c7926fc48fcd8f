// The order rule of v1 and v2, in time n log n.
//
// The sale is modelled as one object. W is the list of winners, N the limit; a claim of u gives u its
// coupon again when u is in W, else appends u to W while W is shorter than N, else says sold out.
// A history and the rows that it left are linearizable if and only if
//
//   1. the rows are those of distinct persons with exactly the seqs 1..k, and k <= N;
//   2. everybody told "issued" has a row, with that seq and that code;
//   3. everybody with a row sent a claim that was not refused;
//   4. nobody with a row was told "sold out";
//   5. if anybody was told "sold out", k = N;
//   6. the effects fit into time: see `judgeOrder`.
//
// Conditions 1 to 5 are in rows.ts and answers.ts, beside what else is to be said of the same facts.
import { objection, type Objection } from "./findings.ts";
import type { Person, Sale } from "./people.ts";
import type { Attempt } from "./run.ts";

/**
 * Condition 6. The rows fix the order of the effects, only their moments are free. Each has to lie
 * after its person's earliest claim was sent and before the earliest answer that presupposes it: that
 * person's first "issued", and anybody's first "sold out". In a fixed order "as early as possible" is
 * optimal, so one pass over the rows decides whether there are such moments. A claim without an answer
 * has no upper bound: its row shows that it took effect, at some time.
 */
export function judgeOrder(sale: Sale): Objection[] {
  const objections: Objection[] = [];
  const { firstSoldOut } = sale;
  /** The claim that holds back all later rows: it was sent last of those so far. */
  let latest: Attempt | null = null;
  let reported: Attempt | null = null;
  for (const { userId, seq } of sale.rows) {
    const person = sale.people.get(userId);
    // A row that nobody claimed breaks condition 3 and has no moment to be placed at.
    if (person === undefined || person.firstClaim === null) continue;
    if (latest === null || person.firstClaim.sentMs > latest.sentMs) latest = person.firstClaim;
    const issued = person.firstIssued;
    if (issued !== null && latest.sentMs > issued.returnedMs && reported !== latest) {
      // Once for each claim that is too late: it would be found with every row behind it.
      reported = latest;
      objections.push(orderBroken({ seq, issued, latest, person }));
    }
    if (firstSoldOut !== null && person.firstClaim.sentMs > firstSoldOut.returnedMs) {
      objections.push(afterSoldOut(person, seq, firstSoldOut));
    }
  }
  return objections;
}

function orderBroken(found: {
  readonly seq: number;
  readonly issued: Attempt;
  readonly latest: Attempt;
  readonly person: Person;
}): Objection {
  const { seq, issued, latest, person } = found;
  const told = `${person.name} was told seq ${seq} at ${at(issued.returnedMs)}`;
  const own = latest.person === person.name;
  const detail = own
    ? `${told}, before any claim that could have had an effect was sent (${at(latest.sentMs)})`
    : `${told}, but ${latest.person} has an earlier seq and claimed only at ${at(latest.sentMs)}`;
  return objection(own ? "S4" : "S6", detail, {
    condition: 6,
    persons: own ? [person.name] : [latest.person, person.name],
    attempts: [latest, issued],
  });
}

/** Reported by name, on every mechanism: whoever first asked after a "sold out" has no coupon. */
export function afterSoldOut(person: Person, seq: number, soldOut: Attempt): Objection {
  const detail =
    `${person.name} has seq ${seq}, but first claimed at ` +
    `${at(person.firstClaim?.sentMs ?? NaN)}, after ${soldOut.person} was told sold out at ` +
    at(soldOut.returnedMs);
  return objection("S8", detail, {
    condition: 6,
    persons: [person.name, soldOut.person],
    attempts: [person.firstClaim, soldOut],
  });
}

function at(ms: number): string {
  return `${ms.toFixed(3)} ms`;
}
