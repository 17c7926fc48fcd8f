// The times that an operator may write, and what is wrong with others.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseTime, TIME_MS_MAX } from "@stampede/domain";
import type { TimeFault } from "@stampede/domain";

describe("a time", () => {
  for (const [text, iso] of [
    ["2026-12-01T00:00:00Z", "2026-12-01T00:00:00.000Z"],
    ["2026-12-01T09:00:00+09:00", "2026-12-01T00:00:00.000Z"],
    ["2026-11-30T19:30:00-04:30", "2026-12-01T00:00:00.000Z"],
    ["2026-12-01 09:00:00+0900", "2026-12-01T00:00:00.000Z"],
    ["2026-12-01T00:00:00-00:00", "2026-12-01T00:00:00.000Z"],
    ["2026-12-01T00:00:00.5Z", "2026-12-01T00:00:00.500Z"],
    ["2026-12-01T00:00:00.0009999Z", "2026-12-01T00:00:00.000Z"],
    ["2028-02-29T23:59:59.999Z", "2028-02-29T23:59:59.999Z"],
    ["2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z"],
    ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"],
    ["1969-12-31T23:00:00-01:00", "1970-01-01T00:00:00.000Z"],
    ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
  ] as const) {
    test(`is read: ${text}`, () => {
      assert.deepEqual(parseTime(text), { ok: true, value: Date.parse(iso) });
    });
  }

  test("is read as it is written, to the millisecond, from 1970 to 9999", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: TIME_MS_MAX }), (ms) => {
        assert.deepEqual(parseTime(new Date(ms).toISOString()), { ok: true, value: ms });
      }),
    );
  });

  const faults: Readonly<Record<TimeFault, readonly string[]>> = {
    "lower-case": ["2026-12-01t00:00:00z", "2026-12-01T00:00:00z", "2026-12-01t09:00:00+09:00"],
    "no-zone": ["2026-12-01T00:00:00", "2026-12-01 00:00:00.123"],
    "no-offset-minutes": ["2026-12-01T09:00:00+09", "2026-12-01T09:00:00.5-04"],
    "no-seconds": ["2026-12-01T00:00Z", "2026-12-01T09:00+09:00", "2026-12-01 00:00"],
    "no-time-of-day": ["2026-12-01"],
    "no-such-day": ["2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-00-10T00:00:00Z"].concat([
      "2026-13-01T00:00:00Z",
      "2026-04-31T00:00:00Z",
      "2026-01-00T00:00:00Z",
    ]),
    "no-such-time": ["2026-12-01T25:00:00Z", "2026-12-01T00:60:00Z", "2026-12-01T00:00:61Z"],
    "no-such-offset": ["2026-12-01T00:00:00+24:00", "2026-12-01T00:00:00-09:60"],
    "hour-24": ["2026-12-01T24:00:00Z", "2026-12-01T24:30:00Z"],
    "leap-second": ["2026-12-31T23:59:60Z", "2027-01-01T08:59:60.5+09:00"],
    "out-of-range": [
      "1969-12-31T23:59:59.999Z",
      "0000-01-01T00:00:00Z",
      "9999-12-31T23:59:59-01:00",
      "12026-12-01T00:00:00Z",
      "+012026-12-01T00:00:00Z",
      "-002026-12-01T00:00:00Z",
    ],
    other: ["", "tomorrow", "1796058269", "2026-336T00:00:00Z", "2026-12-01T00:00:00,5Z"].concat([
      "2026-12-01T00:00:00Z ",
      "2026-12-01T09:00:00+09:00[Asia/Seoul]",
      "2026-1-1T00:00:00Z",
    ]),
  };
  for (const [fault, texts] of Object.entries(faults)) {
    for (const text of texts) {
      test(`is refused: "${text}" (${fault})`, () => {
        assert.deepEqual(parseTime(text), { ok: false, refusal: fault });
      });
    }
  }
});
