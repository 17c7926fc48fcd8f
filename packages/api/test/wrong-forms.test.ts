// What an operator's request is refused with: the sentence for whoever wrote it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import { makeEvent, openApp, OPERATOR } from "./support/app.ts";
import type { TestApp } from "./support/app.ts";

const good = { name: "Spring", mechanism: "row-lock", limit: 100 };

async function send(
  { app }: TestApp,
  method: "POST" | "PATCH",
  url: string,
  how: { readonly payload: object | string; readonly headers?: Record<string, string> },
): Promise<LightMyRequestResponse> {
  return app.inject({ method, url, ...how, headers: { ...OPERATOR, ...how.headers } });
}

function detailOf(answer: LightMyRequestResponse): string {
  return answer.json<{ detail: string }>().detail;
}

describe("an operator's request", () => {
  // Red when the schema's pattern is told instead of what is wrong.
  for (const [field, value, detail] of [
    ["name", "\u200b", "name shows nothing: "],
    ["name", "\u202ea", "name turns the reading direction and does not turn it back: "],
    ["name", "a\u0000", "name contains a control character."],
    ["name", "\ud800", "name contains half a character (a lone surrogate)."],
    ["opensAt", "2026-12-31T23:59:60Z", "opensAt names a leap second"],
    ["closesAt", "2027-01-01T00:00:00", "closesAt has no zone: add Z"],
    ["closesAt", "2027-01-01t00:00:00z", "closesAt must have its T and Z in capital letters"],
  ] as const) {
    test(`says what is wrong: ${detail}`, async (t) => {
      const opened = await openApp(t);
      const id = await makeEvent(opened);
      const made = await send(opened, "POST", "/events", { payload: { ...good, [field]: value } });
      const changed = await send(opened, "PATCH", `/events/${id}`, {
        payload: { [field]: value },
        headers: { "if-match": '"1"' },
      });
      for (const answer of [made, changed]) {
        assert.equal(answer.statusCode, 400);
        assert.ok(detailOf(answer).startsWith(detail), detailOf(answer));
      }
    });
  }

  for (const [title, payload, type, status, detail] of [
    [
      "a field that is named twice",
      '{"limit":1,"limit":2}',
      "",
      400,
      "The body names a field twice.",
    ],
    ["no JSON", "{", "", 400, "The body is not JSON, or names __proto__ or constructor.prototype."],
    ["nothing", "", "", 400, "The body is empty."],
    ["another charset", "{}", "; charset=euc-kr", 415, "Send plain JSON in UTF-8."],
  ] as const) {
    test(`says what is wrong with a body: ${title}`, async (t) => {
      const headers = { "content-type": `application/json${type}` };
      const answer = await send(await openApp(t), "POST", "/events", { payload, headers });
      assert.equal(answer.statusCode, status);
      assert.equal(detailOf(answer), detail);
    });
  }

  test("takes a text that looks like a field, and the same field of two objects", async (t) => {
    const opened = await openApp(t);
    const name = '{"limit": 1, "limit": 2} \\"limit":';
    const made = await send(opened, "POST", "/events", { payload: { ...good, name } });
    assert.equal(made.statusCode, 201);
    const nested = await send(opened, "POST", "/events", {
      payload: '{"a":{"limit":1},"b":{"limit":1}}',
      headers: { "content-type": "application/json" },
    });
    assert.match(detailOf(nested), /required property|unknown field/);
  });
});
