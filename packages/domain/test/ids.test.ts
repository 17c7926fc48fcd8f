import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EVENT_ID_PATTERN, USER_ID_PATTERN, parseEventId, parseUserId } from "@stampede/domain";
import fc from "fast-check";

describe("an event id", () => {
  test("is kept as it was written", () => {
    for (const text of ["a", "0", "spring", "spring-2026", "0-0", "a-", "a--b", "a".repeat(63)]) {
      assert.equal(parseEventId(text), text);
    }
  });

  test("has 1 to 63 characters", () => {
    assert.equal(parseEventId(""), null);
    assert.equal(parseEventId("a".repeat(63)), "a".repeat(63));
    assert.equal(parseEventId("a".repeat(64)), null);
  });

  test("holds lower case, digits and inner hyphens only", () => {
    for (const text of ["Spring", "sprinG", "-spring", "spring_1", "spring.1", "spring/1", "a b"]) {
      assert.equal(parseEventId(text), null, text);
    }
  });

  test("is never trimmed or folded into another one", () => {
    for (const text of [" spring", "spring ", "spring\n", "spring\r", "\u0000spring", "spring\0"]) {
      assert.equal(parseEventId(text), null, JSON.stringify(text));
    }
    // A long s, a full-width a, an a with a combining accent, a non-joiner, a digit of another script.
    for (const text of ["ſpring", "ａ", "a\u0301", "spring\u200c", "٣"]) {
      assert.equal(parseEventId(text), null, text);
    }
  });
});

describe("a user id", () => {
  test("is kept as it was written, capitals and all", () => {
    for (const text of [
      "ana",
      "Ana",
      "ANA",
      "ana@example.org",
      "a.b_c~d-e@f",
      "-",
      ".",
      "~",
      "0",
      "auth0|5f7c8ec7c33c6c004bbafe82",
      "google-oauth2|103547991597142817347",
      "ana+shop@example.com",
      "urn:example:person:ana",
      "https://id.example/users?u=7&x=%20#me",
      "f:9d6c:Ana/B==",
      `"'\\{}[]<>(),;:!*$^\``,
    ]) {
      assert.equal(parseUserId(text), text);
    }
    assert.notEqual(parseUserId("Ana"), parseUserId("ana"));
  });

  test("has 1 to 255 characters", () => {
    assert.equal(parseUserId(""), null);
    assert.equal(parseUserId("u".repeat(255)), "u".repeat(255));
    assert.equal(parseUserId("u".repeat(256)), null);
  });

  test("is never trimmed or folded into somebody else's", () => {
    for (const text of [" ana", "ana ", "ana\n", "a na", "ana\t", "ana\0", "\uFEFFana"]) {
      assert.equal(parseUserId(text), null, JSON.stringify(text));
    }
    // The Kelvin sign, a full-width a, a combining accent, a precomposed one, Cyrillic, an emoji.
    for (const text of ["\u212A", "ａna", "a\u0301na", "ána", "аna", "ana🎟"]) {
      assert.equal(parseUserId(text), null, text);
    }
  });

  test("holds all visible characters of ASCII, and no others", () => {
    for (let code = 0; code <= 0x2_ff; code += 1) {
      const text = `a${String.fromCharCode(code)}b`;
      assert.equal(parseUserId(text), code > 0x20 && code < 0x7f ? text : null, `U+${code}`);
    }
  });
});

test("every text is either refused or kept unchanged, exactly as the published patterns say", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 70 }),
    fc.string({ unit: fc.constantFrom(...Array.from("aZ09._~@-|:/+ ")), maxLength: 300 }),
  );
  fc.assert(
    fc.property(text, (written) => {
      assert.equal(
        parseEventId(written),
        new RegExp(EVENT_ID_PATTERN).test(written) ? written : null,
      );
      assert.equal(
        parseUserId(written),
        new RegExp(USER_ID_PATTERN).test(written) ? written : null,
      );
    }),
  );
});

test("the published patterns are those of the contract", () => {
  assert.equal(EVENT_ID_PATTERN, "^[a-z0-9][a-z0-9-]{0,62}$");
  assert.equal(USER_ID_PATTERN, "^[\\x21-\\x7E]{1,255}$");
});
