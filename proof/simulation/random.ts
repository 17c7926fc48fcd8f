import { codeFromRandom } from "@stampede/domain";

/** All chance of a simulated sale: the same seed draws the same numbers. */
export type Random = {
  /** From 0 to 1, 1 excluded. */
  readonly next: () => number;
  readonly between: (low: number, high: number) => number;
  readonly whole: (low: number, high: number) => number;
  readonly chance: (share: number) => boolean;
  readonly pick: <Value>(values: readonly Value[]) => Value;
  /** So many of them, none twice. */
  readonly some: <Value>(values: readonly Value[], count: number) => Value[];
  /** A coupon's code, and 128 bits in hexadecimal. */
  readonly code: () => string;
  readonly token: () => string;
  /** Numbers of its own, which do not depend on how many are drawn here. */
  readonly fork: (name: string) => Random;
};

/** sfc32, a small generator that passes the usual tests; started from a text. */
export function randomOf(seed: string): Random {
  let [a, b, c, d] = [hashText(seed, 1), hashText(seed, 2), hashText(seed, 3), 1];
  const next32 = (): number => {
    const sum = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round += 1) next32();
  const next = (): number => next32() / 4_294_967_296;
  const random: Random = {
    next,
    between: (low, high) => low + next() * (high - low),
    whole: (low, high) => low + Math.floor(next() * (high - low + 1)),
    chance: (share) => next() < share,
    pick: (values) => {
      const value = values[Math.floor(next() * values.length)];
      if (value === undefined) throw new Error("nothing to pick from");
      return value;
    },
    some: (values, count) => {
      const left = [...values];
      const chosen: (typeof values)[number][] = [];
      while (chosen.length < count && left.length > 0) {
        chosen.push(...left.splice(random.whole(0, left.length - 1), 1));
      }
      return chosen;
    },
    code: () => codeFromRandom(Uint8Array.from({ length: 26 }, () => next32() & 255)),
    token: () => Array.from({ length: 4 }, () => next32().toString(16).padStart(8, "0")).join(""),
    fork: (name) => randomOf(`${seed}/${name}`),
  };
  return random;
}

/** FNV-1a over the text, from a start of its own. */
export function hashText(text: string, start: number): number {
  let hash = (2_166_136_261 ^ Math.imul(start, 0x9e3779b9)) | 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 16_777_619);
  }
  return hash | 0;
}
