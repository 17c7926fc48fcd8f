// Values at and beyond the edge of whatever a request may say.
import fc from "fast-check";

const edgeNumbers = [0, -0, -1, 0.5, 1e21, 1e-7, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 63), 1e308];
const edgeTexts = [
  "",
  " ",
  "MARK",
  "\0",
  "a\0b",
  "\r\nX: MARK",
  "\u001b[2J",
  "%00",
  "%zz",
  "../..",
  "a/b",
  "__proto__",
  "constructor",
  "null",
  "true",
  "NaN",
  "-1",
  "+1",
  "1e2",
  "0x1",
  "1.5",
  "9007199254740991",
  "9007199254740992",
  "2147483648",
  "9".repeat(30),
  "x".repeat(300),

  "' OR 1=1 --",
  "$1",
  "{}",
  "[]",
  "<MARK>",
  "\ud800",
  "\udc00",
  "\u2028",
  "\u202e",
  "\u{1f338}",
  "Ａ",
  "2030-02-30T00:00:00Z",
  "2030-01-01T24:00:00Z",
  "2030-01-01T00:00:60Z",
  "0000-01-01T00:00:00Z",
];

export const edgeText = fc.oneof(
  fc.constantFrom(...edgeTexts),
  fc.string({ unit: "binary", maxLength: 20 }),
);
export const anything = fc.oneof(
  edgeText,
  fc.constantFrom(...edgeNumbers),
  fc.integer(),
  fc.double(),
  fc.constantFrom(null, true, false),
  fc.jsonValue({ maxDepth: 2 }),
);
