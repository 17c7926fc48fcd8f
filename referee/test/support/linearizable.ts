// The definition itself, without any thought: a history is right when its operations can be put into
// some order that respects real time and in which the sale, as one sequential object, gives exactly
// these answers and leaves exactly these rows. All orders are tried, by sets of operations done.
import type { Attempt, Row } from "@stampede/referee";

/** For at most a dozen attempts of one event of v1 or v2. */
export function isLinearizable(
  limit: number,
  history: readonly Attempt[],
  unsorted: readonly Row[],
): boolean {
  const rows = unsorted.toSorted((a, b) => a.seq - b.seq);
  if (rows.some(({ seq }, index) => seq !== index + 1)) return false;
  const operations = history.filter(hasMeaning);
  // Who has returned before an operation is sent comes before it. An unknown one never returns.
  const before = operations.map(({ sentMs }) =>
    setOf(operations, (other) => other.outcome !== "unknown" && other.returnedMs < sentMs),
  );
  const required = setOf(operations, ({ outcome }) => outcome !== "unknown");
  const end = 1 << operations.length;
  // For each set of operations done: bit k is set when k winners are possible then. The winners are
  // always the first k rows, since nothing that is appended ever goes away.
  const reachable = new Uint8Array(end);
  reachable[0] = 1;
  for (let done = 0; done < end; done++) {
    const states = reachable[done]!;
    if (states === 0) continue;
    if ((done & required) === required && states >> rows.length === 1) return true;
    for (let index = 0; index < operations.length; index++) {
      const bit = 1 << index;
      if ((done & bit) !== 0 || (before[index]! & ~done) !== 0) continue;
      for (let winners = 0; states >> winners !== 0; winners++) {
        if (((states >> winners) & 1) === 0) continue;
        const next = step(operations[index]!, winners, { limit, rows });
        if (next !== null) reachable[done | bit]! |= 1 << next;
      }
    }
  }
  return false;
}

/** What was refused has no effect, and a status that tells nothing has none to tell. */
function hasMeaning({ kind, outcome }: Attempt): boolean {
  if (outcome === "issued" || outcome === "replay" || outcome === "sold-out") return true;
  return kind === "claim" && outcome === "unknown";
}

function setOf(operations: readonly Attempt[], isIn: (operation: Attempt) => boolean): number {
  let set = 0;
  for (let index = 0; index < operations.length; index++) {
    if (isIn(operations[index]!)) set |= 1 << index;
  }
  return set;
}

/** How many winners there are after it; null where the sale would answer, or end, otherwise. */
function step(
  { kind, person, outcome, seq, code }: Attempt,
  winners: number,
  { limit, rows }: { readonly limit: number; readonly rows: readonly Row[] },
): number | null {
  let place = -1;
  for (let index = 0; index < winners; index++) if (rows[index]!.userId === person) place = index;
  let after = winners;
  if (place < 0 && kind === "claim" && winners < limit) {
    if (rows[winners]?.userId !== person) return null;
    place = winners;
    after = winners + 1;
  }
  switch (outcome) {
    case "issued":
    case "replay":
      return place >= 0 && seq === place + 1 && code === rows[place]!.code ? after : null;
    case "sold-out":
      return place < 0 && winners === limit ? after : null;
    case "queued":
    case "voided":
    case "refused":
    case "unknown":
    case "none":
      return after;
  }
}
