import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { CODE_PATTERN, codeFromRandom } from "@stampede/domain";
import fc from "fast-check";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

test("a code has 26 characters of Crockford's base 32, none of them I, L, O or U", () => {
  const pattern = new RegExp(CODE_PATTERN);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 26, maxLength: 40 }), (random) => {
      const code = codeFromRandom(random);
      assert.match(code, pattern);
      assert.doesNotMatch(code, /[ILOU]/);
    }),
  );
});

test("the pattern of a code takes the alphabet and nothing else", () => {
  const pattern = new RegExp(CODE_PATTERN);
  for (let code = 0; code < 0x250; code += 1) {
    const character = String.fromCharCode(code);
    assert.equal(pattern.test(character.repeat(26)), ALPHABET.includes(character), character);
  }
  assert.equal(pattern.test("0".repeat(25)), false);
  assert.equal(pattern.test("0".repeat(27)), false);
  assert.equal(pattern.test(`${"0".repeat(26)}\n`), false);
});

test("a code carries 130 random bits: five of each of 26 bytes, every one of them counts", () => {
  const base = new Uint8Array(26);
  const codes = new Set([codeFromRandom(base)]);
  for (let index = 0; index < 26; index += 1) {
    for (let bit = 0; bit < 5; bit += 1) {
      const random = Uint8Array.from(base);
      random[index] = 1 << bit;
      codes.add(codeFromRandom(random));
    }
  }
  assert.equal(codes.size, 1 + 130);
});

test("each of the 256 values of a byte gives its character, each character by eight of them", () => {
  const counts = new Map<string, number>();
  for (let byte = 0; byte < 256; byte += 1) {
    const character = codeFromRandom(new Uint8Array(26).fill(byte)).charAt(0);
    counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].toSorted().join(""), ALPHABET);
  assert.ok([...counts.values()].every((count) => count === 8));
});

test("bytes beyond the twenty-sixth change nothing", () => {
  const random = Uint8Array.from({ length: 40 }, (_, index) => index);
  assert.equal(codeFromRandom(random), codeFromRandom(random.subarray(0, 26)));
});

// Red for a biased alphabet: a modulo over 36 characters, or a case left out.
test("a hundred thousand codes use all characters evenly, at every place, and never meet", () => {
  const codesCount = 100_000;
  const seen = new Set<string>();
  const overall = new Map<string, number>();
  const byPlace = Array.from({ length: 26 }, () => new Map<string, number>());
  for (let index = 0; index < codesCount; index += 1) {
    const code = codeFromRandom(randomBytes(26));
    seen.add(code);
    byPlace.forEach((counts, place) => {
      const character = code.charAt(place);
      counts.set(character, (counts.get(character) ?? 0) + 1);
      overall.set(character, (overall.get(character) ?? 0) + 1);
    });
  }
  assert.equal(seen.size, codesCount);
  // 31 degrees of freedom: 100 is exceeded by chance about once in 10^9, here 27 draws a run.
  for (const counts of [overall, ...byPlace]) {
    const statistic = chiSquare(counts);
    assert.ok(statistic < 100, `chi-square ${statistic} with 31 degrees of freedom`);
  }
});

test("the measure of evenness finds one character in thirty-two that comes a tenth too often", () => {
  const counts = new Map<string, number>(
    Array.from(ALPHABET, (character) => [character, 81_250] as const),
  );
  assert.equal(chiSquare(counts), 0);
  counts.set("7", 89_375);
  assert.ok(chiSquare(counts) > 100);
});

function chiSquare(counts: ReadonlyMap<string, number>): number {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const expected = total / ALPHABET.length;
  let statistic = 0;
  for (const character of ALPHABET) {
    statistic += ((counts.get(character) ?? 0) - expected) ** 2 / expected;
  }
  return statistic;
}
