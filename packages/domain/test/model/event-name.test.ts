// What an event may be called. The texts are by code point where nobody could see what they are.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { nameRefusal } from "@stampede/domain";
import type { NameRefusal } from "@stampede/domain";

describe("the name of an event", () => {
  for (const name of [
    "Spring",
    " Spring ",
    "봄 쿠폰",
    "\u0634\u0643\u0631\u0627 2026",
    "\u2067\u05e9\u05dc\u05d5\u05dd\u2069 (spring)",
    "\u202b\u2066a\u2069\u202c",
    "e\u0301",
    "a\u200bb",
    "\u09a8\u09ae\u09b8\u09cd\u09a4\u09c7",
    "\u{1f469}\u200d\u{1f469}\u200d\u{1f467}",
    "\u2764\ufe0f",
    "1\ufe0f\u20e3",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{1f1f0}\u{1f1f7}",
    "\u200f\u05e9\u05dc\u05d5\u05dd\u200e",
    "\u0600",
    "?",
    "'; DROP TABLE events; --",
  ]) {
    test(`may be ${name}`, () => assert.equal(nameRefusal(name), null));
  }

  const refused: Readonly<Record<NameRefusal["kind"], readonly string[]>> = {
    "name-blank": [
      "",
      " ",
      "\u00a0\u3000\u2003\u2028",
      "\u200b",
      "\u3164",
      "\u2800\u2800",
      "\u00ad",
      "\u{e0041}\u{e0042}\u{e007f}",
      "\u200d\ufe0f",
      "\u2060\ufeff",
      "\u115f\u1160\uffa0",
      "\u0301",
      "\u0903",
      "\u20e3",
      "\u034f",
      "\u061c\u200e",
      "\u202e\u202c",
      "\u2067\u2069",
      "\ufff9\ufffb",
      "\uffff",
      "\u{1d159}",
      "\u180e",
    ],
    "name-direction": [
      "\u202eSpring",
      "Spring\u202a",
      "a\u202c",
      "a\u2069",
      "\u2066a",
      "\u2067a\u2069\u2069",
      "\u2066\u202ba\u2069\u202c",
      "\u2068a\u202c",
    ],
    "name-control": ["a\u0000b", "a\r\nb", "\u001b[31m", "a\u007f", "a\u0085b", "\t"],
    "name-broken": ["\ud800", "a\udc00", "\udc00\ud800"],
  };
  for (const [kind, names] of Object.entries(refused)) {
    for (const name of names) {
      const shown = Array.from(name, (one) => one.codePointAt(0)?.toString(16)).join(" ");
      test(`may not be ${shown || "empty"}: ${kind}`, () => {
        assert.deepEqual(nameRefusal(name), { kind });
      });
    }
  }
});
