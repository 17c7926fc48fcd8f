// All chance of the referee's tests. It has a generator of its own: a referee imports nothing of ours.

/** A whole number from 0 to below `end`. */
export type Draw = (end: number) => number;

/** Mulberry32, started anew for each history, so that one of a million can be had alone. */
export function drawOf(seed: number, index: number): Draw {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0;
  return (end) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * end);
  };
}
