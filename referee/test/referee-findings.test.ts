// What the referee reports of rows, answers and Redis, each shown by a run written by hand.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { judge } from "@stampede/referee";
import {
  asked,
  attempt,
  breaks,
  codeOf,
  eventId,
  isRight,
  issued,
  issuedAt,
  onlyShows,
  queued,
  refused,
  replay,
  row,
  soldOut,
  unanswered,
} from "./support/sketch.ts";

onlyShows("findings");

const ana = row(1, "ana");
const ben = row(2, "ben");

describe("of rows, a finding is", () => {
  test("one more than the limit", () => {
    const attempts = [issued("ana", 1), issued("ben", 2), issued("cem", 3)];
    breaks(["S1"], { attempts, rows: [ana, ben, row(3, "cem")] });
  });

  test("a second one of one person", () => {
    const attempts = [issued("ana", 1), soldOut("cem")];
    breaks(["S2"], { attempts, rows: [ana, row(2, "ana", { code: codeOf("ana2") })] });
  });

  test("one whose person never claimed, or only asked", () => {
    breaks(["S4"], { attempts: [issued("ana", 1), soldOut("cem")], rows: [ana, ben] });
    breaks(["S4"], { attempts: [issued("ana", 1), asked("ben", {})], rows: [ana, ben] });
  });

  test("one that was committed before its person claimed", () => {
    const rows = [row(1, "ana", { committedMs: 10 })];
    breaks(["S4"], { attempts: [issued("ana", 1, { sentMs: 20 })], rows });
  });

  test("one of somebody whose every claim was refused", () => {
    const attempts = [issued("ana", 1), refused("ben"), refused("ben")];
    const [found] = breaks(["S19"], { attempts, rows: [ana, ben] });
    assert.deepEqual(found?.persons, ["ben"]);
    assert.deepEqual(found.attempts, [attempts[1]!.id]);
  });

  test("a gap in seq, and a seq that is there twice", () => {
    const attempts = [issued("ana", 1), issued("ben", 3)];
    breaks(["S24"], { attempts, rows: [ana, row(3, "ben")] });
    const twice = [issued("ana", 1), issued("ben", 1)];
    breaks(["S24"], { attempts: twice, rows: [ana, row(1, "ben")] });
  });

  test("a counter that is not their number", () => {
    breaks(["S24"], { attempts: [issued("ana", 1)], rows: [ana], event: { issued: 2 } });
  });

  test("a code in two of them, of one event or of two", () => {
    const code = codeOf("ana");
    const attempts = [issued("ana", 1), issued("ben", 2, { code })];
    breaks(["S21"], { attempts, rows: [ana, row(2, "ben", { code })] });
    const other = { eventId: "autumn" };
    const findings = judge({
      events: [
        { eventId, mechanism: "row-lock", limit: 2, issued: 1 },
        { ...other, mechanism: "row-lock", limit: 2, issued: 1 },
      ],
      history: [issued("ana", 1), issued("ana", 1, other)],
      rows: [ana, row(1, "ana", other)],
    });
    assert.deepEqual(
      findings.map(({ invariant }) => invariant),
      ["S21"],
    );
  });

  test("a code without room for 128 bits", () => {
    const code = "SHORT";
    breaks(["S21"], { attempts: [issued("ana", 1, { code })], rows: [row(1, "ana", { code })] });
  });

  test("one from before the opening, or from no time", () => {
    const event = { opensAt: "2026-12-01T00:00:00.124Z" };
    breaks(["S22"], { attempts: [issued("ana", 1)], rows: [ana], event });
    const never = { issuedAt: "yesterday" };
    const attempts = [unanswered("ana")];
    breaks(["S22"], { attempts, rows: [row(1, "ana", never)] });
  });

  test("one from the close on, where the window is judged under the row's lock", () => {
    const event = { closesAt: issuedAt };
    const sketch = { attempts: [issued("ana", 1)], rows: [ana] };
    breaks(["S22"], { ...sketch, event });
    isRight({ ...sketch, event: { ...event, mechanism: "redis-counter" } });
  });

  test("a limit that fell", () => {
    breaks(["S20"], { attempts: [issued("ana", 1)], rows: [ana], event: { limitAtStart: 3 } });
  });
});

describe("of answers, a finding is", () => {
  test("an issued without a row", () => {
    const attempts = [issued("ana", 1), issued("ben", 2), issued("cem", 2)];
    const [found] = breaks(["S3"], { attempts, rows: [ana, ben] });
    assert.deepEqual(found?.attempts, [attempts[2]!.id]);
    assert.deepEqual(found.persons, ["cem"]);
    assert.equal(found.eventId, eventId);
    assert.match(found.detail, /^cem was told seq 2, code CEM7+, and has no row$/);
  });

  test("an issued with another seq, code or time than the row has", () => {
    const wrong = [{ seq: 2 }, { code: codeOf("zoe") }, { issuedAt: "2026-12-01T00:00:01.000Z" }];
    for (const other of wrong) breaks(["S3"], { attempts: [issued("ana", 1, other)], rows: [ana] });
  });

  test("an issued that was told before its row was committed", () => {
    const rows = [row(1, "ana", { committedMs: 101 })];
    breaks(["S3"], { attempts: [issued("ana", 1)], rows });
  });

  test("the coupon of somebody else", () => {
    const attempts = [
      issued("ana", 1),
      unanswered("ben"),
      replay("cem", 1, { code: codeOf("ana") }),
    ];
    const [found] = breaks(["S18"], { attempts, rows: [ana, ben] });
    assert.deepEqual(found?.persons, ["cem", "ana"]);
  });

  test("a sold out while coupons are left", () => {
    breaks(["L1", "S5"], { attempts: [issued("ana", 1), soldOut("ben")], rows: [ana] });
    const attempts = [issued("ana", 1), asked("ben", { outcome: "sold-out" })];
    breaks(["S5"], { attempts, rows: [ana] });
  });

  test("a sold out before the last row was committed", () => {
    const rows = [row(1, "ana", { committedMs: 1 }), row(2, "ben", { committedMs: 101 })];
    breaks(["S5"], { attempts: [issued("ana", 1), unanswered("ben"), soldOut("cem")], rows });
  });

  test("a sold out to somebody with a row", () => {
    const attempts = [issued("ana", 1), unanswered("ben"), soldOut("ben")];
    const [found] = breaks(["S7"], { attempts, rows: [ana, ben] });
    assert.deepEqual([found?.condition, found?.persons], [4, ["ben"]]);
  });

  test("an issued and a sold out to one person", () => {
    const attempts = [issued("ana", 1), issued("ben", 2), issued("cem", 3), soldOut("cem")];
    breaks(["S3", "S7"], { attempts, rows: [ana, ben] });
  });

  test("two coupons told to one person", () => {
    const attempts = [issued("ana", 1), replay("ana", 1, { code: codeOf("zoe") })];
    breaks(["S3", "S9"], { attempts, rows: [ana] });
  });

  test("a coupon told as new twice", () => {
    breaks(["S9"], { attempts: [issued("ana", 1), issued("ana", 1)], rows: [ana] });
  });

  test("a 500", () => {
    breaks(["500"], { attempts: [unanswered("ana", { status: 500 })], rows: [ana] });
    isRight({ attempts: [unanswered("ana", { status: 503 })], rows: [ana] });
  });

  test("fewer rows than people got through", () => {
    const attempts = [issued("ana", 1), attempt("ben", { status: 202, outcome: "queued" })];
    breaks(["L1"], { attempts, rows: [ana] });
  });
});

describe("of Redis, a finding is", () => {
  const event = { mechanism: "redis-counter" } as const;
  const attempts = [issued("ana", 1), issued("ben", 2), soldOut("cem")];
  const full = { event, attempts, rows: [ana, ben] };
  const half = { event, attempts: [issued("ana", 1), unanswered("ben")], rows: [ana] };

  test("nothing where it holds the persons of the rows, and nothing any more after the last", () => {
    isRight({ ...full, redis: {} });
    isRight({ ...half, redis: {} });
  });

  test("a person without a row", () => {
    breaks(["S16"], { ...half, redis: { persons: ["ana", "ben"] } });
  });

  test("a reservation of somebody who was refused, or never claimed", () => {
    const refusedBen = [issued("ana", 1), refused("ben")];
    const redis = { persons: ["ana", "ben"] };
    const [, refusal] = breaks(["S16", "S19"], { ...half, attempts: refusedBen, redis });
    assert.match(refusal!.detail, /^ben is reserved in Redis and was refused every time$/);
    const [, stranger] = breaks(["S16", "S19"], { ...half, attempts: [issued("ana", 1)], redis });
    assert.match(stranger!.detail, /^ben is reserved in Redis and never claimed$/);
  });

  test("a row that it does not know", () => {
    breaks(["S16"], { ...half, redis: { persons: [] } });
  });

  test("a counter that is not the number of persons", () => {
    breaks(["S16"], { ...half, redis: { counter: 3 } });
    breaks(["S16"], { ...full, redis: { counter: 3 } });
  });

  test("something that it holds although all coupons are rows", () => {
    breaks(["S16"], { ...full, redis: { finished: false, persons: ["ana", "ben"] } });
  });

  test("a sale that it forgot before all coupons were rows", () => {
    breaks(["S17"], { ...half, redis: { finished: true, persons: [] } });
  });

  test("the same of a build that kept sold-out sales, with a latch beside their persons", () => {
    const kept = { finished: null, persons: ["ana", "ben"] };
    isRight({ ...full, redis: { ...kept, latched: true } });
    isRight({ ...half, redis: { finished: null, latched: false } });
    breaks(["S16"], { ...full, redis: { ...kept, latched: false } });
    breaks(["S16"], { ...full, redis: { ...kept, latched: true, persons: ["ana"] } });
    breaks(["S17"], { ...half, redis: { finished: null, latched: true } });
  });

  test("more persons than coupons", () => {
    const redis = { persons: ["ana", "ben", "cem"] };
    breaks(["S16", "S17"], { ...full, redis });
  });
});

describe("of a sale that an operator ended", () => {
  const event = { mechanism: "kafka-queue", limit: 3 } as const;
  const first = row(1, "ana", { ticket: 0 });
  const told = [
    queued("ana", 0, { guaranteed: true }),
    queued("ben", 1),
    asked("ben", { outcome: "voided", ticketAsked: 1 }),
  ];

  test("nothing more is due", () => {
    isRight({ event: { ...event, decided: 1 }, attempts: told, rows: [first] });
  });

  test("a finding is a coupon of somebody who was told so, or one that came after it", () => {
    const late = { ...first, committedMs: 900 };
    breaks(["S7"], { event, attempts: told, rows: [first, row(2, "ben", { ticket: 1 })] });
    breaks(["S7"], { event, attempts: told, rows: [late] });
  });

  test("a finding is that it had no queue", () => {
    breaks(["S7"], { attempts: [asked("cem", { outcome: "voided" })], rows: [] });
  });
});
