import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { attemptOf, readAnswer, type Asked, type HttpAnswer } from "@stampede/lab";

function bytes(...lines: string[]): Buffer {
  return Buffer.from(lines.join("\r\n"));
}

describe("the crowd's reader of answers", () => {
  test("reads status, body and length whatever the case of the names", () => {
    const text = bytes("HTTP/1.1 201 Created", "content-LENGTH: 3", "X-Other: a", "", "äb");
    assert.deepEqual(readAnswer(text), { status: 201, body: "äb", closes: false });
  });

  test("reads a chunked body and sees that the connection closes", () => {
    const head = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Connection: close", ""];
    const text = bytes(...head, "3", "abc", "a", "0123456789", "0", "", "");
    assert.deepEqual(readAnswer(text), { status: 200, body: "abc0123456789", closes: true });
  });

  test("waits for the rest wherever an answer is cut", () => {
    const plain = bytes("HTTP/1.1 409 Conflict", "Content-Length: 5", "", "abcde");
    const chunked = bytes(
      "HTTP/1.1 200 OK",
      "Transfer-Encoding: chunked",
      "",
      "2",
      "ab",
      "0",
      "",
      "",
    );
    for (const whole of [plain, chunked]) {
      for (let length = 0; length < whole.length; length++) {
        assert.equal(readAnswer(whole.subarray(0, length)), null, `cut after ${length} bytes`);
      }
      assert.notEqual(readAnswer(whole), null);
    }
  });

  for (const [what, text] of [
    ["another protocol", bytes("HTTP/1.0 200 OK", "Content-Length: 0", "", "")],
    ["no status", bytes("HTTP/1.1 2000 OK", "Content-Length: 0", "", "")],
    ["no length", bytes("HTTP/1.1 200 OK", "X: y", "", "")],
    ["a length that is none", bytes("HTTP/1.1 200 OK", "Content-Length: -1", "", "")],
    ["two lengths", bytes("HTTP/1.1 200 OK", "Content-Length: 1", "Content-Length: 1", "", "a")],
    ["a length too small", bytes("HTTP/1.1 200 OK", "Content-Length: 1", "", "ab")],
    ["a length beyond all measure", bytes("HTTP/1.1 200 OK", "Content-Length: 99999999", "", "")],
    ["a header without a name", bytes("HTTP/1.1 200 OK", "Content-Length 0", "", "")],
    ["a chunk without a size", bytes("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "x", "")],
    [
      "a chunk longer than its size",
      bytes("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "1", "abc", ""),
    ],
    [
      "a length beside chunks",
      bytes("HTTP/1.1 200 OK", "Content-Length: 1", "Transfer-Encoding: chunked", "", "a"),
    ],
  ] as const) {
    test(`throws on ${what}`, () => {
      assert.throws(() => readAnswer(text));
    });
  }
});

describe("what an answer means", () => {
  const asked: Asked = {
    id: 0,
    kind: "claim",
    person: "ana",
    eventId: "spring",
    mechanism: "row-lock",
    attempt: 1,
    instance: "127.0.0.1:3000",
    ticketAsked: null,
  };
  const issue = { eventId: "spring", status: "issued", seq: 1, code: "C", issuedAt: "2026-01-01" };
  const ticket = { eventId: "spring", status: "queued", ticket: 4, ahead: 2, guaranteed: true };
  const outcomeOf = (status: number, body: unknown, kind: Asked["kind"] = "claim"): string => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const answer: HttpAnswer = { status, body: text, closes: false };
    return attemptOf({ ...asked, kind }, { sentMs: 0, returnedMs: 1, answer, fault: null }).outcome;
  };

  test("is what the contract says", () => {
    assert.equal(outcomeOf(201, issue), "issued");
    assert.equal(outcomeOf(200, issue), "replay");
    assert.equal(outcomeOf(202, ticket), "queued");
    assert.equal(outcomeOf(409, { type: "/problems/sold-out" }), "sold-out");
    assert.equal(outcomeOf(409, { type: "/problems/closed" }), "refused");
    assert.equal(outcomeOf(429, { type: "/problems/too-many-requests" }), "refused");
    assert.equal(outcomeOf(503, { type: "/problems/unavailable" }), "refused");
  });

  test("of a status is what is true now", () => {
    assert.equal(outcomeOf(200, issue, "status"), "replay");
    assert.equal(outcomeOf(200, ticket, "status"), "queued");
    assert.equal(outcomeOf(200, { eventId: "spring", status: "sold-out" }, "status"), "sold-out");
    assert.equal(outcomeOf(200, { eventId: "spring", status: "none" }, "status"), "none");
    assert.equal(outcomeOf(500, {}, "status"), "none");
  });

  test("is unknown, never refused, where a claim may have been applied", () => {
    assert.equal(outcomeOf(503, { type: "/problems/outcome-unknown" }), "unknown");
    assert.equal(outcomeOf(503, "<html>a proxy's page</html>"), "unknown");
    assert.equal(outcomeOf(500, {}), "unknown");
    assert.equal(outcomeOf(201, "{"), "unknown");
    assert.equal(outcomeOf(201, { ...issue, eventId: "autumn" }), "unknown");
    assert.equal(outcomeOf(201, { ...issue, seq: "1" }), "unknown");
    assert.equal(outcomeOf(202, { ...ticket, ticket: -1 }), "unknown");
    assert.equal(outcomeOf(301, {}), "unknown");
  });
});
