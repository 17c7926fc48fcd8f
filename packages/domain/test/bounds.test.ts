import assert from "node:assert/strict";
import { test } from "node:test";
import {
  COUPONS_MAX,
  NAME_CHARACTERS_MAX,
  PACE_PER_SECOND_MAX,
  PAGE_SIZE_MAX,
  TIME_MS_MAX,
  WHOLE_NUMBER_MAX,
} from "@stampede/domain";

test("the bounds are those of the contract", () => {
  assert.equal(COUPONS_MAX, 1_000_000);
  assert.equal(PACE_PER_SECOND_MAX, 1_000_000);
  assert.equal(NAME_CHARACTERS_MAX, 100);
  assert.equal(PAGE_SIZE_MAX, 500);
});

test("the last time is the last one that RFC 3339 can write with four digits of year", () => {
  assert.equal(new Date(TIME_MS_MAX).toISOString(), "9999-12-31T23:59:59.999Z");
  assert.match(new Date(TIME_MS_MAX + 1).toISOString(), /^\+010000/);
});

test("the greatest whole number survives JSON, the next one does not", () => {
  assert.equal(JSON.parse(String(WHOLE_NUMBER_MAX)), WHOLE_NUMBER_MAX);
  assert.equal(JSON.parse("9007199254740993") === 9007199254740992, true);
  assert.equal(WHOLE_NUMBER_MAX + 1, WHOLE_NUMBER_MAX + 2);
});
