// Every rule of the rush's judge, shown by a history written by hand that breaks it; and histories
// beside them that look alike and are right.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { judge, uncleanOf, type Attempt, type Mechanism, type StoredRow } from "@stampede/lab";

const issuedAt = "2026-12-01T00:00:00.123Z";

function row(seq: number, userId: string, more: Partial<StoredRow> = {}): StoredRow {
  return { seq, userId, code: `CODE-${userId}`, issuedAt, ticket: null, ...more };
}

let nextId = 0;

function attempt(person: string, more: Partial<Attempt>): Attempt {
  return {
    id: nextId++,
    kind: "claim",
    person,
    eventId: "spring",
    mechanism: "row-lock",
    attempt: 1,
    instance: "127.0.0.1:3000",
    sentMs: 0,
    returnedMs: 100,
    status: 201,
    fault: null,
    problemType: null,
    outcome: "issued",
    seq: null,
    code: null,
    issuedAt: null,
    ticket: null,
    ahead: null,
    guaranteed: null,
    ticketAsked: null,
    ...more,
  };
}

function issued(person: string, seq: number, more: Partial<Attempt> = {}): Attempt {
  return attempt(person, { seq, code: `CODE-${person}`, issuedAt, ...more });
}

function soldOut(person: string, more: Partial<Attempt> = {}): Attempt {
  const problemType = "/problems/sold-out";
  return attempt(person, { status: 409, problemType, outcome: "sold-out", ...more });
}

function refused(person: string): Attempt {
  return attempt(person, { status: 503, problemType: "/problems/unavailable", outcome: "refused" });
}

function unanswered(person: string, more: Partial<Attempt> = {}): Attempt {
  return attempt(person, { status: null, fault: "timeout", outcome: "unknown", ...more });
}

function queued(person: string, ticket: number, limit = 2): Attempt {
  const guaranteed = ticket < limit;
  return attempt(person, { status: 202, outcome: "queued", ticket, ahead: ticket, guaranteed });
}

type Sketch = {
  readonly mechanism?: Mechanism;
  readonly limit?: number;
  readonly issued?: number;
  readonly attempts: readonly Attempt[];
  readonly rows: readonly StoredRow[];
};

function rulesOf(sketch: Sketch): string[] {
  const { mechanism = "row-lock", limit = 2, attempts, rows } = sketch;
  const sale = { issued: sketch.issued ?? rows.length, rows };
  const violations = judge({ mechanism, limit, attempts, sale });
  return [...new Set(violations.map(({ rule }) => rule))].sort();
}

const ana = row(1, "ana");
const ben = row(2, "ben");

describe("a sale that was right", () => {
  test("has the limit in rows and told everybody so", () => {
    const attempts = [issued("ana", 1), issued("ben", 2), soldOut("cem"), soldOut("dot")];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, ben] }), []);
  });

  test("has a row for everybody when fewer came than there are coupons", () => {
    assert.deepEqual(rulesOf({ attempts: [issued("ana", 1)], rows: [ana] }), []);
  });

  test("may have a row for a claim without an answer, or none", () => {
    const attempts = [issued("ana", 1), unanswered("ben")];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, ben] }), []);
    assert.deepEqual(rulesOf({ attempts, rows: [ana] }), []);
  });

  test("may have fewer rows when people were refused", () => {
    assert.deepEqual(rulesOf({ attempts: [issued("ana", 1), refused("ben")], rows: [ana] }), []);
  });

  test("may cut the time of a row to milliseconds or round it", () => {
    const told = issued("ana", 1, { issuedAt: "2026-12-01T00:00:00.124Z" });
    assert.deepEqual(rulesOf({ attempts: [told], rows: [ana] }), []);
  });

  test("may tell a repeated claim the same coupon", () => {
    const attempts = [issued("ana", 1), issued("ana", 1, { outcome: "replay", status: 200 })];
    assert.deepEqual(rulesOf({ attempts, rows: [ana] }), []);
  });
});

describe("a violation is", () => {
  test("one row too many", () => {
    const attempts = [issued("ana", 1), issued("ben", 2), issued("cem", 3)];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, ben, row(3, "cem")] }), ["row-count"]);
  });

  test("one row too few", () => {
    const attempts = [issued("ana", 1), attempt("ben", { outcome: "queued", status: 202 })];
    assert.deepEqual(rulesOf({ attempts, rows: [ana] }), ["row-count"]);
  });

  test("a counter that is not the number of rows", () => {
    const attempts = [issued("ana", 1)];
    assert.deepEqual(rulesOf({ attempts, rows: [ana], issued: 2 }), ["issued-counter"]);
  });

  test("a gap in seq", () => {
    const attempts = [issued("ana", 1), issued("ben", 3)];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, row(3, "ben")] }), ["seq-gap"]);
  });

  test("a second row of one person", () => {
    const attempts = [issued("ana", 1), soldOut("ben")];
    const rows = [ana, row(2, "ana", { code: "OTHER" })];
    // Whichever of the two is looked at, the answer can only name one of them.
    assert.ok(rulesOf({ attempts, rows }).includes("two-rows"));
  });

  test("one code in two rows", () => {
    const attempts = [issued("ana", 1), issued("ben", 2, { code: "CODE-ana" })];
    const rows = [ana, row(2, "ben", { code: "CODE-ana" })];
    assert.deepEqual(rulesOf({ attempts, rows }), ["code-twice"]);
  });

  test("a row of somebody who never claimed", () => {
    const attempts = [issued("ana", 1), soldOut("cem")];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, ben] }), ["row-without-claim"]);
  });

  test("a row of somebody who was refused every time", () => {
    const attempts = [issued("ana", 1), refused("ben"), soldOut("cem")];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, ben] }), ["row-without-claim"]);
  });

  test("somebody who was told issued and has no row", () => {
    const attempts = [issued("ana", 1), issued("ben", 2), issued("cem", 2)];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, ben] }), ["issued-without-row"]);
  });

  test("somebody who was told another seq, code or time than the row has", () => {
    for (const other of [{ seq: 2 }, { code: "OTHER" }, { issuedAt: "2026-12-01T00:00:01.000Z" }]) {
      const attempts = [issued("ana", 1, other)];
      assert.deepEqual(rulesOf({ attempts, rows: [ana] }), ["issued-otherwise"]);
    }
  });

  test("somebody with a row who was told sold out", () => {
    const attempts = [issued("ana", 1), soldOut("ben"), soldOut("cem")];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, ben] }), ["sold-out-with-row"]);
  });

  test("sold out told while coupons are left", () => {
    const attempts = [issued("ana", 1), soldOut("ben")];
    assert.ok(rulesOf({ attempts, rows: [ana] }).includes("sold-out-too-early"));
  });

  test("two different coupons told to one person", () => {
    const attempts = [issued("ana", 1), issued("ana", 2, { outcome: "replay" }), issued("ben", 2)];
    assert.ok(rulesOf({ attempts, rows: [ana, ben] }).includes("contradiction"));
  });

  test("issued and sold out told to one person", () => {
    const attempts = [issued("ana", 1), soldOut("ana"), issued("ben", 2)];
    assert.ok(rulesOf({ attempts, rows: [ana, ben] }).includes("contradiction"));
  });

  test("a coupon told as new twice", () => {
    const attempts = [issued("ana", 1), issued("ana", 1)];
    assert.deepEqual(rulesOf({ attempts, rows: [ana] }), ["contradiction"]);
  });

  test("somebody who first asked after a sold out and was issued", () => {
    const attempts = [
      issued("ana", 1, { sentMs: 0, returnedMs: 1 }),
      soldOut("cem", { sentMs: 0, returnedMs: 2 }),
      issued("ben", 2, { sentMs: 3, returnedMs: 4 }),
    ];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, ben] }), ["order"]);
  });

  test("a claim answered before another was sent that comes after it", () => {
    const attempts = [
      issued("ana", 1, { sentMs: 10, returnedMs: 11 }),
      issued("ben", 2, { sentMs: 0, returnedMs: 5 }),
    ];
    assert.deepEqual(rulesOf({ attempts, rows: [ana, ben] }), ["order"]);
  });
});

describe("in a queue", () => {
  const mechanism = "kafka-queue";
  const rows = [row(1, "ana", { ticket: 0 }), row(2, "ben", { ticket: 1 })];
  const asked = (person: string, more: Partial<Attempt>): Attempt =>
    attempt(person, { kind: "status", status: 200, mechanism, ...more });

  test("the first tickets have the coupons", () => {
    const attempts = [
      queued("ana", 0),
      queued("ben", 1),
      queued("cem", 2),
      asked("ana", { outcome: "replay", seq: 1, code: "CODE-ana", issuedAt, ticketAsked: 0 }),
      asked("cem", { outcome: "sold-out", ticketAsked: 2 }),
    ];
    assert.deepEqual(rulesOf({ mechanism, attempts, rows }), []);
  });

  test("an unanswered claim may have the earlier ticket", () => {
    const attempts = [unanswered("ana"), queued("ana", 7), queued("ben", 1)];
    assert.deepEqual(rulesOf({ mechanism, attempts, rows }), []);
  });

  test("rows out of the order of tickets are a violation", () => {
    const wrong = [row(1, "ben", { ticket: 1 }), row(2, "ana", { ticket: 0 })];
    const attempts = [queued("ana", 0), queued("ben", 1)];
    assert.deepEqual(rulesOf({ mechanism, attempts, rows: wrong }), ["ticket-order"]);
  });

  test("one ticket told to two people is a violation", () => {
    const attempts = [queued("ana", 0), queued("ben", 1), queued("cem", 2), queued("dot", 2)];
    assert.deepEqual(rulesOf({ mechanism, attempts, rows }), ["ticket-twice"]);
  });

  test("a row with another ticket than was told is a violation", () => {
    const attempts = [queued("ana", 0), queued("ben", 2)];
    assert.deepEqual(rulesOf({ mechanism, attempts, rows }), ["ticket-otherwise"]);
  });

  test("a ticket passed over is a violation", () => {
    const gap = [row(1, "ana", { ticket: 0 }), row(2, "cem", { ticket: 5 })];
    const attempts = [queued("ana", 0), queued("ben", 4), queued("cem", 5)];
    assert.deepEqual(rulesOf({ mechanism, attempts, rows: gap }), ["passed-over"]);
  });

  test("a guarantee without a coupon is a violation", () => {
    const attempts = [queued("ana", 0), queued("ben", 1)];
    const rules = rulesOf({ mechanism, attempts, rows: rows.slice(0, 1) });
    assert.deepEqual(rules, ["guarantee-broken", "row-count"]);
  });

  test("a guarantee for a ticket beyond the limit is a violation, and so is none below it", () => {
    const attempts = [queued("ana", 0, 0), queued("ben", 1), queued("cem", 2)];
    assert.deepEqual(rulesOf({ mechanism, attempts, rows }), ["guarantee-wrong"]);
  });

  test("a ticket of which nothing is known any more is a violation", () => {
    const attempts = [
      queued("ana", 0),
      queued("ben", 1),
      queued("cem", 2),
      asked("cem", { outcome: "none", ticketAsked: 2 }),
    ];
    assert.deepEqual(rulesOf({ mechanism, attempts, rows }), ["ticket-lost"]);
  });
});

test("missing and odd answers are not wrong, but not clean", () => {
  const attempts = [
    issued("ana", 1),
    soldOut("ben"),
    unanswered("cem"),
    unanswered("dot"),
    refused("eve"),
    attempt("fay", { status: 500, problemType: null, outcome: "unknown" }),
  ];
  assert.deepEqual(uncleanOf(attempts), [
    "2 x claim: timeout",
    "1 x claim: 503 /problems/unavailable",
    "1 x claim: 500 without a problem type",
  ]);
});
