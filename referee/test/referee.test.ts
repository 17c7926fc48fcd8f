// Runs that are right, in all the ways a sale can go, and what the referee says of the order in time.
// What else it reports is in referee-findings.test.ts and referee-queue.test.ts; the last test here
// counts: a kind of finding without a bad run written by hand is a defect.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { judge, promises } from "@stampede/referee";
import {
  asked,
  breaks,
  codeOf,
  eventId,
  isRight,
  issued,
  issuedAt,
  kindsShown,
  onlyShows,
  queued,
  refused,
  replay,
  row,
  soldOut,
  unanswered,
} from "./support/sketch.ts";

onlyShows("order");

const documentation = join(import.meta.dirname, "..", "..", "docs", "referee.md");

const ana = row(1, "ana");
const ben = row(2, "ben");

describe("a sale is right when", () => {
  test("the limit is in rows and everybody was told so", () => {
    const attempts = [issued("ana", 1), issued("ben", 2), soldOut("cem"), soldOut("dot")];
    isRight({ attempts, rows: [ana, ben] });
  });

  test("fewer came than there are coupons", () => {
    isRight({ attempts: [issued("ana", 1)], rows: [ana] });
  });

  test("nobody came", () => {
    isRight({ attempts: [], rows: [] });
  });

  test("a claim without an answer has a row, and when it has none", () => {
    const attempts = [issued("ana", 1), unanswered("ben")];
    isRight({ attempts, rows: [ana, ben] });
    isRight({ attempts, rows: [ana] });
  });

  test("a claim without an answer takes effect long after it was given up", () => {
    const attempts = [
      unanswered("ana", { sentMs: 0, returnedMs: 1 }),
      issued("ben", 1, { sentMs: 50, returnedMs: 60 }),
      asked("ana", { outcome: "replay", seq: 2, code: codeOf("ana"), issuedAt }),
    ];
    isRight({ attempts, rows: [row(1, "ben"), row(2, "ana")] });
  });

  test("people were refused and have nothing", () => {
    isRight({ attempts: [issued("ana", 1), refused("ben")], rows: [ana] });
  });

  test("somebody who was refused claimed again and was issued", () => {
    isRight({ attempts: [refused("ana"), issued("ana", 1)], rows: [ana] });
  });

  test("a repeated claim is told the same coupon", () => {
    isRight({ attempts: [issued("ana", 1), replay("ana", 1)], rows: [ana] });
  });

  test("an answer cuts the time of the row to milliseconds, or rounds it", () => {
    const told = issued("ana", 1, { issuedAt: "2026-12-01T00:00:00.124Z" });
    isRight({ attempts: [told], rows: [ana] });
  });

  test("somebody is told nothing by a status, whatever their claims did", () => {
    const attempts = [issued("ana", 1), asked("ana", { outcome: "none" })];
    isRight({ attempts, rows: [ana] });
  });

  test("claims under way at the same time are decided in any order", () => {
    const attempts = [
      issued("ana", 2, { sentMs: 0, returnedMs: 5 }),
      issued("ben", 1, { sentMs: 5, returnedMs: 9 }),
    ];
    isRight({ attempts, rows: [row(1, "ben"), row(2, "ana")] });
  });

  test("a sold out comes while the last winner's answer is still on its way", () => {
    const attempts = [
      issued("ana", 1, { sentMs: 0, returnedMs: 1 }),
      issued("ben", 2, { sentMs: 2, returnedMs: 50 }),
      soldOut("cem", { sentMs: 3, returnedMs: 4 }),
    ];
    isRight({ attempts, rows: [ana, ben] });
  });

  test("a row is of the very opening, and committed in the very moment of its claim", () => {
    const rows = [row(1, "ana", { committedMs: 0 })];
    isRight({ attempts: [issued("ana", 1)], rows, event: { opensAt: issuedAt } });
  });

  test("the commit times fit: claimed before, told after", () => {
    const rows = [row(1, "ana", { committedMs: 50 }), row(2, "ben", { committedMs: 100 })];
    const attempts = [issued("ana", 1), issued("ben", 2), soldOut("cem")];
    isRight({ attempts, rows });
  });
});

describe("of the order, a finding is", () => {
  test("a claim answered before another was sent that comes after it", () => {
    const attempts = [
      issued("ana", 1, { sentMs: 10, returnedMs: 11 }),
      issued("ben", 2, { sentMs: 0, returnedMs: 5 }),
    ];
    const [found] = breaks(["S6"], { attempts, rows: [ana, ben] });
    assert.deepEqual(found?.persons, ["ana", "ben"]);
    assert.deepEqual(found.attempts, [attempts[0]!.id, attempts[1]!.id]);
  });

  test("the same where the later of them has no answer", () => {
    const attempts = [unanswered("ana", { sentMs: 10 }), issued("ben", 2, { returnedMs: 5 })];
    breaks(["S6"], { attempts, rows: [ana, ben] });
  });

  test("a claim that was refused before does not make the claim earlier", () => {
    const attempts = [
      refused("ana", { sentMs: 0, returnedMs: 1 }),
      issued("ana", 1, { sentMs: 10, returnedMs: 11 }),
      issued("ben", 2, { sentMs: 0, returnedMs: 5 }),
    ];
    breaks(["S6"], { attempts, rows: [ana, ben] });
  });

  test("an issued before anything was claimed", () => {
    const attempts = [
      asked("ana", {
        outcome: "replay",
        seq: 1,
        code: codeOf("ana"),
        issuedAt,
        sentMs: 0,
        returnedMs: 5,
      }),
      issued("ana", 1, { sentMs: 10 }),
    ];
    breaks(["S4"], { attempts, rows: [ana] });
  });

  test("somebody who first asked after a sold out and was issued", () => {
    const attempts = [
      issued("ana", 1, { returnedMs: 1 }),
      soldOut("cem", { returnedMs: 2 }),
      issued("ben", 2, { sentMs: 3, returnedMs: 4 }),
    ];
    const [found] = breaks(["S8"], { attempts, rows: [ana, ben] });
    assert.deepEqual(found?.persons, ["ben", "cem"]);
  });
});

test("a run that does not hang together is not judged", () => {
  const event = { eventId, mechanism: "row-lock", limit: 2, issued: 0 } as const;
  const whole = { events: [event], history: [], rows: [] };
  const other = { eventId: "autumn" };
  assert.throws(() => judge({ ...whole, events: [event, event] }), /spring is there twice/);
  assert.throws(
    () => judge({ ...whole, history: [issued("ana", 1, other)] }),
    /an attempt of autumn/,
  );
  assert.throws(() => judge({ ...whole, rows: [row(1, "ana", other)] }), /a row of autumn/);
  assert.throws(() => judge({ ...whole, log: new Map([["autumn", []]]) }), /a log of autumn/);
});

test("docs/referee.md says of every promise how it is decided, or why it is not", () => {
  const [decides = "", cannot = ""] = readFileSync(documentation, "utf8")
    .split("## What it decides")[1]!
    .split("What it cannot decide at all:");
  for (const [id, { from }] of Object.entries(promises)) {
    if (from.length > 0) assert.match(decides, new RegExp(`^\\| ${id} \\|`, "m"));
    else assert.match(cannot, new RegExp(`^\\| [^|]*\\b${id}\\b[^|]* \\|`, "m"));
  }
});

test("a hundred thousand attempts are judged within two seconds", () => {
  for (const mechanism of ["row-lock", "kafka-queue"] as const) {
    const limit = 10_000;
    const event = { eventId, mechanism, limit, issued: limit };
    const isQueue = mechanism === "kafka-queue";
    const rows = Array.from({ length: limit }, (_, index) => {
      const code = String(index).padStart(26, "0");
      return row(index + 1, `p${index}`, { code, ticket: isQueue ? index : null });
    });
    const history = Array.from({ length: 100_000 }, (_, index) => {
      const times = { id: index, sentMs: index, returnedMs: index + 5_000 };
      const person = `p${index}`;
      const won = rows[index];
      if (isQueue) return queued(person, index, { ...times, guaranteed: index < limit });
      if (won === undefined) return soldOut(person, times);
      return issued(person, index + 1, { ...times, code: won.code });
    });
    const startMs = performance.now();
    assert.deepEqual(judge({ events: [event], history, rows }), []);
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < 2_000, `${mechanism}: ${tookMs.toFixed(0)} ms`);
  }
});

test("the promises are S1 to S27, L1 to L7 and 500, and what the referee leaves of each is said", () => {
  const ids = [
    ...Array.from({ length: 27 }, (_, index) => `S${index + 1}`),
    ...Array.from({ length: 7 }, (_, index) => `L${index + 1}`),
    "500",
  ];
  assert.deepEqual(Object.keys(promises).sort(), ids.sort());
  for (const [id, { from, leaves }] of Object.entries(promises)) {
    assert.ok(from.length > 0 || leaves !== null, id);
  }
});

test("every kind of finding is shown by a bad run that was written by hand", () => {
  const shown = new Set(Object.values(kindsShown).flat());
  const decided = Object.entries(promises).flatMap(([id, { from }]) =>
    from.length > 0 ? [id] : [],
  );
  assert.deepEqual([...shown].sort(), decided.sort());
});
