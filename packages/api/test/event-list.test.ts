import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { LightMyRequestResponse } from "fastify";
import { claim, makeEvent, openApp, OPERATOR } from "./support/app.ts";
import type { TestApp } from "./support/app.ts";

const good = { name: "Spring", mechanism: "kafka-queue", limit: 100 };

describe("an unlisted event", () => {
  const idsOf = async ({ app }: TestApp, query = ""): Promise<readonly string[]> => {
    const answer = await app.inject({ url: `/events${query}` });
    assert.equal(answer.statusCode, 200);
    return answer.json<{ events: readonly { id: string }[] }>().events.map(({ id }) => id);
  };

  test("is left out of the list, shown with all=true, and found by its id", async (t) => {
    const opened = await openApp(t);
    await make(opened, { id: "shown" });
    await make(opened, { id: "hidden", listed: false });
    assert.deepEqual(await idsOf(opened), ["shown"]);
    assert.deepEqual(await idsOf(opened, "?all=false"), ["shown"]);
    assert.deepEqual(await idsOf(opened, "?all=true"), ["hidden", "shown"]);
    assert.equal((await opened.app.inject({ url: "/events/hidden" })).statusCode, 200);
    assert.equal((await claim(opened, "hidden", "ana", "v3")).statusCode, 202);
  });

  test("is listed from the operator's change on", async (t) => {
    const opened = await openApp(t);
    await make(opened, { id: "hidden", listed: false });
    const changed = await opened.app.inject({
      method: "PATCH",
      url: "/events/hidden",
      headers: { ...OPERATOR, "if-match": '"1"' },
      payload: { listed: true },
    });
    assert.equal(changed.statusCode, 200);
    assert.deepEqual(await idsOf(opened), ["hidden"]);
  });

  test("is asked for by all=true or all=false, and by nothing else", async (t) => {
    const opened = await openApp(t);
    for (const query of ["?all=1", "?all=", "?all=TRUE", "?all=true&all=false"]) {
      const answer = await opened.app.inject({ url: `/events${query}` });
      assert.equal(answer.statusCode, 400, query);
    }
    const answer = await make(opened, { listed: "no" });
    assert.equal(answer.statusCode, 400);
  });
});

async function make(
  { app }: TestApp,
  wanted: Record<string, unknown>,
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: "POST",
    url: "/events",
    headers: OPERATOR,
    payload: { ...good, ...wanted },
  });
}

describe("the list of events", () => {
  // Red when each of two thousand readers has a reading of its own, or sees less than was made here.
  test("is read once for all who ask within an instant, and anew after a change", async (t) => {
    const opened = await openApp(t);
    await makeEvent(opened, { id: "first" });
    const list = t.mock.method(opened.sale.store, "list");
    const idsOf = async (url: string): Promise<readonly string[]> => {
      const answer = await opened.app.inject({ url });
      assert.match(String(answer.headers["content-type"]), /^application\/json/);
      return answer.json<{ events: { id: string }[] }>().events.map(({ id }) => id);
    };
    const all = Array.from({ length: 50 }, async () => idsOf("/events"));
    assert.deepEqual(await Promise.all([...all, idsOf("/events?limit=1")]), [
      ...all.map(() => ["first"]),
      ["first"],
    ]);
    assert.equal(list.mock.callCount(), 2);
    await makeEvent(opened, { id: "second" });
    assert.deepEqual(await idsOf("/events"), ["second", "first"]);
    const headers = { ...OPERATOR, "if-match": '"1"' };
    const change = { url: "/events/first", method: "PATCH", headers } as const;
    await opened.app.inject({ ...change, payload: { listed: false } });
    assert.deepEqual(await idsOf("/events"), ["second"]);
    const calls = list.mock.callCount();
    await pause(260);
    assert.deepEqual(await idsOf("/events"), ["second"]);
    assert.equal(list.mock.callCount(), calls + 1);
  });
});
