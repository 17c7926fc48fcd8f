// What the referee reports of a queue, by its tickets alone and by its log, each shown by a run
// written by hand; and queues beside them that look alike and are right.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LogRecord } from "@stampede/referee";
import {
  asked,
  breaks,
  codeOf,
  eventId,
  isRight,
  issuedAt,
  onlyShows,
  queued,
  record,
  refused,
  row,
  soldOut,
  unanswered,
} from "./support/sketch.ts";

onlyShows("queue");

describe("of a queue", () => {
  const event = { mechanism: "kafka-queue" } as const;
  const first = row(1, "ana", { ticket: 0 });
  const second = row(2, "ben", { ticket: 1 });
  const rows = [first, second];
  const told = [queued("ana", 0), queued("ben", 1)];

  test("nothing is wrong where the first tickets have the coupons", () => {
    const attempts = [
      ...told,
      queued("cem", 2),
      asked("ana", { outcome: "replay", seq: 1, code: codeOf("ana"), issuedAt, ticketAsked: 0 }),
      asked("cem", { outcome: "sold-out", ticketAsked: 2 }),
    ];
    isRight({ event, attempts, rows });
    isRight({ event: { ...event, decided: 3, lastWinningTicket: 1 }, attempts, rows });
  });

  test("nothing is wrong where an unanswered claim has the earlier ticket", () => {
    const attempts = [unanswered("ana"), queued("ana", 7), queued("ben", 1)];
    isRight({ event, attempts, rows });
  });

  test("nothing is wrong where ahead falls, and where a made-up ticket is answered none", () => {
    const attempts = [
      queued("ana", 0),
      queued("ben", 1, { ahead: 1 }),
      asked("ben", { outcome: "queued", ticket: 1, ahead: 0, guaranteed: true, ticketAsked: 1 }),
      asked("ben", { outcome: "none", ticketAsked: 70 }),
    ];
    isRight({ event, attempts, rows });
  });

  test("nothing is wrong where a raised limit changes what is guaranteed", () => {
    const attempts = [
      ...told,
      queued("cem", 2, { guaranteed: false }),
      queued("dot", 3, { guaranteed: true }),
    ];
    const all = [...rows, row(3, "cem", { ticket: 2 }), row(4, "dot", { ticket: 3 })];
    isRight({ event: { ...event, limit: 4, limitAtStart: 2 }, attempts, rows: all });
  });

  test("nothing is wrong where one ends in the very moment in which the next begins", () => {
    const early = { seq: 1, code: codeOf("ana"), issuedAt, sentMs: 0, returnedMs: 10 };
    const status = asked("ana", { outcome: "replay", ...early });
    isRight({ event, attempts: [status, queued("ana", 0, { sentMs: 10 })], rows: [first] });
    const last = queued("ben", 1, { sentMs: 10, returnedMs: 20 });
    const attempts = [queued("ana", 0), soldOut("cem", { returnedMs: 10 }), last];
    isRight({ event, attempts, rows });
    isRight({ event, attempts: [unanswered("ben"), ...attempts], rows });
  });

  test("a finding is rows out of the order of tickets, or without one", () => {
    const wrong = [row(1, "ben", { ticket: 1 }), row(2, "ana", { ticket: 0 })];
    breaks(["S10"], { event, attempts: told, rows: wrong });
    const twice = [unanswered("ana"), unanswered("ben")];
    const same = [first, row(2, "ben", { ticket: 0 })];
    breaks(["S10"], { event, attempts: twice, rows: same });
    breaks(["S10"], { event, attempts: [unanswered("ana")], rows: [row(1, "ana")] });
  });

  test("a finding is a row with another ticket than was told", () => {
    breaks(["S10"], { event, attempts: [queued("ana", 0), queued("ben", 2)], rows });
    const later = [queued("ana", 0), unanswered("ben"), queued("ben", 0, { id: 7 })];
    breaks(["S10", "S11"], { event, attempts: later, rows });
  });

  test("a finding is a ticket that was passed over", () => {
    const attempts = [queued("ana", 0), queued("ben", 4), queued("cem", 5)];
    breaks(["S10"], { event, attempts, rows: [first, row(2, "cem", { ticket: 5 })] });
  });

  test("a finding is a ticket above one that was answered before it was claimed", () => {
    const attempts = [
      queued("ana", 0, { sentMs: 10, returnedMs: 11 }),
      queued("ben", 1, { sentMs: 0, returnedMs: 5 }),
    ];
    const [found] = breaks(["S6"], { event, attempts, rows });
    assert.deepEqual(found?.attempts, [attempts[1]!.id, attempts[0]!.id]);
  });

  test("a finding is one ticket told to one person twice, one after the other", () => {
    const again = queued("ana", 0, { sentMs: 150, returnedMs: 160 });
    breaks(["S6"], { event, attempts: [...told, again], rows });
  });

  test("a finding is one ticket told to two people", () => {
    breaks(["S11"], { event, attempts: [...told, queued("cem", 2), queued("dot", 2)], rows });
  });

  test("a finding is a ticket of which nothing is known any more", () => {
    for (const sentMs of [100, 200]) {
      const none = asked("cem", { outcome: "none", ticketAsked: 2, sentMs });
      breaks(["S11"], { event, attempts: [...told, queued("cem", 2), none], rows });
    }
  });

  test("a finding is an ahead that grows, whoever asked, or does not fit the mark", () => {
    const grown = asked("ben", { outcome: "queued", ticket: 1, ahead: 1, guaranteed: true });
    breaks(["S12"], {
      event,
      attempts: [queued("ana", 0), queued("ben", 1, { ahead: 0 }), grown],
      rows,
    });
    breaks(["S12"], { event, attempts: [queued("ana", 0, { ahead: 1 }), queued("ben", 1)], rows });
    const past = [...told, queued("cem", 9, { ahead: 1 })];
    breaks(["S12"], { event: { ...event, decided: 5 }, attempts: past, rows });
  });

  test("a finding is a sold out for a ticket below the last that won, or before the last row", () => {
    const attempts = [
      queued("ana", 0),
      queued("cem", 2),
      unanswered("ben"),
      asked("cem", { outcome: "sold-out", ticketAsked: 2 }),
    ];
    breaks(["S10", "S13"], { event, attempts, rows: [first, row(2, "ben", { ticket: 4 })] });
    breaks(["L1", "L2", "S5", "S13"], { event, attempts, rows: [first] });
    const own = [...told, asked("ben", { outcome: "sold-out", ticketAsked: 1 })];
    breaks(["S7", "S13"], { event, attempts: own, rows });
  });

  test("a finding is a row at or above the mark", () => {
    breaks(["S14"], { event: { ...event, decided: 1 }, attempts: told, rows });
  });

  test("a finding is a guarantee that is not kept", () => {
    breaks(["L1", "L2", "S23"], { event, attempts: told, rows: [first] });
  });

  test("a finding is a guarantee beyond the limit, and none below it", () => {
    const attempts = [queued("ana", 0, { guaranteed: false }), queued("ben", 1)];
    breaks(["S23"], { event, attempts, rows });
    const beyond = [...told, queued("cem", 2, { guaranteed: true })];
    breaks(["S23"], { event, attempts: beyond, rows });
  });

  test("a finding is a last winning ticket that is not that of the last row", () => {
    breaks(["S25"], { event: { ...event, lastWinningTicket: 2 }, attempts: told, rows });
    const half = [queued("ana", 0)];
    breaks(["S25"], { event: { ...event, lastWinningTicket: 0 }, attempts: half, rows: [first] });
  });

  test("a finding is somebody queued without an answer in the end", () => {
    breaks(["L1", "L2"], { event, attempts: [queued("ana", 0), queued("cem", 5)], rows: [first] });
  });

  test("a finding is an issued before any claim, and a winner who asked after a sold out", () => {
    const early = { seq: 1, code: codeOf("ana"), issuedAt, sentMs: 0, returnedMs: 1 };
    const attempts = [
      asked("ana", { outcome: "replay", ...early }),
      queued("ana", 0, { sentMs: 10 }),
    ];
    breaks(["S4"], { event, attempts, rows: [first] });
    const late = [
      queued("ana", 0),
      soldOut("cem", { returnedMs: 2 }),
      queued("ben", 1, { sentMs: 150, returnedMs: 160 }),
    ];
    breaks(["S8"], { event, attempts: late, rows });
    breaks(["S5"], { event, attempts: [unanswered("ben"), ...late], rows });
  });
});

describe("of a log", () => {
  const event = { mechanism: "kafka-queue", decided: 4 } as const;
  const rows = [row(1, "ana", { ticket: 0 }), row(2, "ben", { ticket: 2 })];
  const log = [record(0, "ana"), record(1, "ana"), record(2, "ben"), record(3, "cem")];
  const attempts = [queued("ana", 0), queued("ana", 1), queued("ben", 2), queued("cem", 3)];
  const sale = { event, attempts, rows, log };
  const body = (schema: number, userId: string) => JSON.stringify({ schema, eventId, userId });
  const unreadable: readonly Partial<LogRecord>[] = [
    { value: null },
    { value: "{" },
    { value: "[]" },
    { value: '"ana"' },
    { value: body(0, "ana") },
    { value: JSON.stringify({ schema: 2, eventId: "autumn", userId: "ana" }) },
    { value: body(2, "a b"), key: "a b" },
    { value: body(2, "a|b"), key: "a|b" },
    { value: body(3, "a b"), key: "a b" },
    { value: body(1, "ana") },
    { value: JSON.stringify({ schema: 1, eventId, userId: "ana", code: "short" }) },
    { value: record(0, "ana").value!.padEnd(1_025) },
    { key: null },
    { key: "ben" },
  ];

  test("nothing is wrong where its first persons have the rows", () => {
    isRight(sale);
  });

  test("nothing is wrong where records that are no claims are passed by", () => {
    for (const bad of unreadable) {
      const mixed = [record(0, "ana", bad), record(1, "ana"), record(2, "ben")];
      const told = [queued("ana", 1), queued("ben", 2)];
      const after = [row(1, "ana", { ticket: 1 }), row(2, "ben", { ticket: 2 })];
      isRight({ event: { ...event, decided: 3 }, attempts: told, rows: after, log: mixed });
    }
  });

  test("nothing is wrong where a record of the schema before brings a code, which is nobody's", () => {
    const value = JSON.stringify({ schema: 1, eventId, userId: "ana", code: codeOf("zoe") });
    isRight({ ...sale, log: [record(0, "ana", { value }), ...log.slice(1)] });
  });

  test("nothing is wrong where a record is as long as a claim may be", () => {
    const value = record(0, "ana").value!.padEnd(1_024);
    isRight({ ...sale, log: [record(0, "ana", { value }), ...log.slice(1)] });
  });

  test("nothing is wrong where a claim without an answer has several records, or none", () => {
    const twice = [unanswered("ana"), queued("ben", 2), queued("cem", 3), unanswered("dot")];
    isRight({ ...sale, attempts: twice });
  });

  test("nothing is wrong where nobody knows the mark", () => {
    isRight({ ...sale, event: { mechanism: "kafka-queue" } });
  });

  test("nothing is wrong where the persons are subjects of any provider", () => {
    const named = ["auth0|ana", "urn:person:ben", 'a"b\\c', "x".repeat(255)];
    const rows = named.map((who, n) => row(n + 1, who, { ticket: n, code: codeOf("abcd"[n]!) }));
    const attempts = named.map((person, n) => queued(person, n, { guaranteed: true }));
    const log = named.map((userId, n) => record(n, userId, { value: body(3, userId) }));
    isRight({ event: { ...event, limit: 4 }, attempts, rows, log });
  });

  test("nothing is wrong where somebody asked with a made-up ticket before others claimed", () => {
    const place = { ticket: 70, ahead: 70, guaranteed: false, ticketAsked: 70 };
    const made = asked("zoe", { outcome: "queued", ...place, sentMs: 0, returnedMs: 1 });
    const later = attempts.map((one) => ({ ...one, sentMs: 10 }));
    isRight({ ...sale, attempts: [made, unanswered("ana", { sentMs: 10 }), ...later.slice(1)] });
  });

  test("nothing is wrong where it stops before a record of a newer build", () => {
    const newer = record(1, "ben", { value: '{"schema":4}' });
    const told = [queued("ana", 0)];
    const stopped = { ...event, decided: 1 };
    isRight({ event: stopped, attempts: told, rows: [rows[0]!], log: [record(0, "ana"), newer] });
  });

  test("a finding is winners that are not its first persons, by person or ticket", () => {
    const swapped = [row(1, "ben", { ticket: 0 }), row(2, "ana", { ticket: 2 })];
    const wrong = [unanswered("ana"), unanswered("ben"), unanswered("cem")];
    const [found] = breaks(["S10"], { ...sale, attempts: wrong, rows: swapped });
    assert.deepEqual(found?.persons, ["ana", "ben"]);
    const second = [row(1, "ana", { ticket: 1 }), rows[1]!];
    breaks(["S10"], { ...sale, attempts: wrong, rows: second });
  });

  test("a finding is a winner without a row, and a row without a record", () => {
    const attempts = [unanswered("ana"), unanswered("ben"), unanswered("cem")];
    breaks(["S10"], { ...sale, attempts, rows: [rows[0]!] });
    const only = { ...sale, attempts, log: [record(0, "ana")], event: { ...event, decided: 1 } };
    breaks(["S10", "S14"], only);
  });

  test("a finding is a record of no claim that was decided as one", () => {
    for (const bad of unreadable) {
      const told = [unanswered("ana"), unanswered("ben")];
      const mixed = [record(0, "ana", bad), record(1, "ben")];
      const wrong = [row(1, "ana", { ticket: 0 }), row(2, "ben", { ticket: 1 })];
      breaks(["S10"], { event: { ...event, decided: 2 }, attempts: told, rows: wrong, log: mixed });
    }
  });

  test("a finding is a mark beyond its end, beyond a newer build's record, and a gap in it", () => {
    breaks(["S10"], { ...sale, event: { ...event, decided: 5 } });
    const newer = [...log.slice(0, 3), record(3, "cem", { value: '{"schema":4}' })];
    breaks(["S10"], { ...sale, attempts: attempts.slice(0, 3), log: newer });
    breaks(["S10"], {
      ...sale,
      log: [...log, record(5, "cem")],
      attempts: [...attempts, queued("cem", 5)],
    });
  });

  test("a finding is a log without its beginning", () => {
    const told = { attempts: [queued("ana", 1)], rows: [row(1, "ana", { ticket: 1 })] };
    breaks(["S10"], { event: { ...event, decided: 2 }, ...told, log: [record(1, "ana")] });
  });

  test("a finding is a ticket without its record, or with another person's", () => {
    breaks(["S11"], { ...sale, attempts: [...attempts, queued("dot", 4)] });
    const other = [record(0, "ana"), record(1, "ana"), record(2, "ben"), record(3, "dot")];
    breaks(["S11"], { ...sale, attempts: [...attempts, unanswered("dot")], log: other });
  });

  test("a finding is a record of somebody who never claimed", () => {
    breaks(["S4"], { ...sale, attempts, log: [...log, record(4, "eve")] });
  });

  test("a finding is a record that a refused claim left", () => {
    const more = [...attempts, refused("cem")];
    const [found] = breaks(["S19"], { ...sale, attempts: more, log: [...log, record(4, "cem")] });
    assert.deepEqual(found?.attempts, [more.at(-1)!.id]);
    // That somebody asked about it makes it nobody's claim.
    const place = { ticket: 4, ahead: 0, guaranteed: false, ticketAsked: 4 };
    const curious = [...more, asked("cem", { outcome: "queued", ...place })];
    breaks(["S19"], { ...sale, attempts: curious, log: [...log, record(4, "cem")] });
  });

  test("a finding is the record of an unanswered claim below a ticket told before it was sent", () => {
    const late = [
      unanswered("ana", { sentMs: 150, returnedMs: 160 }),
      queued("ben", 2),
      queued("cem", 3),
    ];
    breaks(["S6"], { ...sale, attempts: late });
  });

  test("a finding is records that are not decided in the end", () => {
    const attempts = [unanswered("ana"), unanswered("ben"), unanswered("cem")];
    for (const decided of [1, 2]) {
      const first = { event: { ...event, decided }, rows: [rows[0]!] };
      breaks(["L2"], { ...sale, ...first, attempts });
    }
  });
});
