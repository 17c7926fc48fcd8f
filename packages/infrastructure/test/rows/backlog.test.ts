// Red when the bound is not what was measured, when small batches count as a measure, or when a crowd
// of ten thousand does not fit.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { measuredBacklog } from "../../src/rows/backlog.ts";

const FULL = 500;

const BEFORE = { perMs: 5, least: 10_000 };

describe("the backlog of an event", () => {
  test("takes twenty thousand claims before anything was measured", () => {
    const backlog = measuredBacklog(BEFORE);
    assert.equal(backlog.room(19_999), 1);
    assert.equal(backlog.room(20_000), 0);
  });

  test("takes what the latest transactions would decide within four seconds", () => {
    const backlog = measuredBacklog(BEFORE);
    for (let batch = 0; batch < 30; batch += 1) backlog.noteDecided(FULL, 50);
    assert.equal(backlog.room(39_900) > 0, true);
    assert.equal(backlog.room(40_000) > 0, false);
    for (let batch = 0; batch < 30; batch += 1) backlog.noteDecided(FULL, 125);
    assert.equal(backlog.room(15_900) > 0, true);
    assert.equal(backlog.room(16_100) > 0, false);
  });

  test("takes the least number of claims, however slow the database is", () => {
    const backlog = measuredBacklog(BEFORE);
    for (let batch = 0; batch < 30; batch += 1) backlog.noteDecided(FULL, 5_000);
    assert.equal(backlog.room(9_999), 1);
    assert.equal(backlog.room(10_000), 0);
  });

  test("learns nothing from a transaction that nobody waited behind", () => {
    const backlog = measuredBacklog(BEFORE);
    for (let batch = 0; batch < 30; batch += 1) backlog.noteDecided(1, 5);
    assert.equal(backlog.room(19_999), 1);
  });
});
