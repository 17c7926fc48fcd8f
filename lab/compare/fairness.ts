import { percentile } from "../crowd/statistics.ts";
import type { Fairness } from "./result.ts";

/**
 * Compares the order of issue with the order of arrival. `arrivals` are people in the order in which
 * their first claims were sent, `seqs` the coupon numbers of those who got one. Only `seq` counts,
 * in a queue too: v1 and v2 give nobody else a number, and three mechanisms are to be compared. Null
 * where nobody among them got a coupon.
 */
export function fairnessOf(
  arrivals: readonly string[],
  seqs: ReadonlyMap<string, number>,
  limit: number,
): Fairness | null {
  const holders: number[] = [];
  const displacements: number[] = [];
  let passedOver = 0;
  let changedHands = 0;
  for (const [place, person] of arrivals.entries()) {
    const seq = seqs.get(person);
    if (seq === undefined) continue;
    // Everybody who came before and got nothing was passed over by this one.
    passedOver += place - holders.length;
    holders.push(seq);
    displacements.push(Math.abs(place - (seq - 1)));
    if (place >= limit) changedHands += 1;
  }
  const count = holders.length;
  if (count === 0) return null;
  const pairs = (count * (count - 1)) / 2 + count * (arrivals.length - count);
  displacements.sort((a, b) => a - b);
  return {
    inversions: pairs === 0 ? 0 : (passedOver + inversions(holders)) / pairs,
    displacement: {
      p50: percentile(displacements, 50),
      p99: percentile(displacements, 99),
      max: percentile(displacements, 100),
    },
    changedHands,
    limit,
  };
}

/** Pairs that stand in the wrong order, counted while merging: n log n, since n is ten thousand. */
export function inversions(values: readonly number[]): number {
  let count = 0;
  const sorted = (part: readonly number[]): readonly number[] => {
    if (part.length < 2) return part;
    const middle = part.length >> 1;
    const [left, right] = [sorted(part.slice(0, middle)), sorted(part.slice(middle))];
    const merged: number[] = [];
    let taken = 0;
    for (const value of right) {
      for (let next = left[taken]; next !== undefined && next <= value; next = left[taken]) {
        merged.push(next);
        taken += 1;
      }
      count += left.length - taken;
      merged.push(value);
    }
    return merged.concat(left.slice(taken));
  };
  sorted(values);
  return count;
}
