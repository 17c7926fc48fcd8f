// The rush's judge hands everything to the referee; what is odd but not wrong is counted beside it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { attemptOf, judge, oddAnswers, type Asked, type Attempt } from "@stampede/lab";

const issuedAt = "2026-12-01T00:00:00.123Z";
const code = "0".repeat(26);
const rows = [{ seq: 1, userId: "ana", code, issuedAt, ticket: null }];

function asked(person: string): Asked {
  const [mechanism, instance] = ["row-lock", "127.0.0.1:3000"] as const;
  const rest = { kind: "claim", eventId: "spring", attempt: 1, ticketAsked: null } as const;
  return { id: 0, person, mechanism, instance, ...rest };
}

function answered(person: string, status: number, body: Record<string, unknown>): Attempt {
  const answer = { status, body: JSON.stringify(body), closes: false };
  return attemptOf(asked(person), { sentMs: 0, returnedMs: 1, answer, fault: null });
}

function silent(person: string, fault: "timeout" | "reset" | "unsent"): Attempt {
  return attemptOf(asked(person), { sentMs: 0, returnedMs: 1, answer: null, fault });
}

const issued = { eventId: "spring", status: "issued", seq: 1, code, issuedAt };

test("a right sale has no violation, and one that nobody came to neither", () => {
  const run = { mechanism: "row-lock", limit: 1 } as const;
  const attempts = [
    answered("ana", 201, issued),
    answered("ben", 409, { type: "/problems/sold-out" }),
  ];
  assert.deepEqual(judge({ ...run, attempts, sale: { issued: 1, rows } }), []);
  assert.deepEqual(judge({ ...run, attempts: [], sale: { issued: 0, rows: [] } }), []);
});

test("a violation names the promise and says who was told what", () => {
  const attempts = [answered("ana", 201, issued)];
  const sale = { issued: 0, rows: [] };
  const violations = judge({ mechanism: "row-lock", limit: 1, attempts, sale });
  assert.deepEqual(
    violations.map(({ rule }) => rule),
    ["S3", "L1"],
  );
  assert.match(violations[0]!.detail, /^ana was told seq 1, code 0+, and has no row$/);
});

test("a claim that never left was refused; one without an answer is unknown", () => {
  const outcomes = (["unsent", "reset", "timeout"] as const).map((f) => silent("ana", f).outcome);
  assert.deepEqual(outcomes, ["refused", "unknown", "unknown"]);
});

test("missing and odd answers are not wrong, but make a run void", () => {
  const attempts = [
    answered("ana", 201, issued),
    answered("ben", 409, { type: "/problems/sold-out" }),
    silent("cem", "timeout"),
    silent("dot", "timeout"),
    answered("eve", 503, { type: "/problems/unavailable" }),
    answered("fay", 500, {}),
  ];
  assert.deepEqual(oddAnswers(attempts), [
    "2 x claim: timeout",
    "1 x claim: 503 /problems/unavailable",
    "1 x claim: 500 without a problem type",
  ]);
});
