import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import { claim, makeEvent, openApp, OPERATOR } from "./support/app.ts";
import type { TestApp } from "./support/app.ts";

describe("POST /events/{id}/void", () => {
  const end = async (
    { app }: TestApp,
    id: string,
    { tag, payload }: { tag?: string; payload?: string } = {},
  ): Promise<LightMyRequestResponse> =>
    app.inject({
      method: "POST",
      url: `/events/${id}/void`,
      headers: {
        ...OPERATOR,
        ...(tag === undefined ? {} : { "if-match": tag }),
        ...(payload === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(payload === undefined ? {} : { payload }),
    });

  test("ends a halted event, also for whoever asks again, and answers it as it is", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { mechanism: "kafka-queue" });
    await claim(opened, id, "ana", "v3");
    opened.sale.halt(id);
    const answer = await end(opened, id, { tag: '"1"' });
    assert.equal(answer.statusCode, 200, answer.body);
    assert.equal(answer.headers.etag, '"2"');
    const event = answer.json<Record<string, unknown>>();
    assert.deepEqual([event["voided"], event["state"], event["version"]], [true, "closed", 2]);
    for (const tag of ['"1"', '"2"']) {
      assert.deepEqual((await end(opened, id, { tag, payload: "{}" })).json(), event);
    }
    const asked = await opened.app.inject({
      url: `/events/${id}/issues/me?ticket=0`,
      headers: { "x-user-id": "ana" },
    });
    assert.deepEqual(asked.json(), { eventId: id, status: "voided" });
    assert.equal(asked.headers["retry-after"], undefined, "it is final");
    const late = await claim(opened, id, "ben", "v3");
    assert.equal(late.json<{ type: string }>().type, "/problems/closed");
    const opens = await opened.app.inject({
      method: "PATCH",
      url: `/events/${id}`,
      headers: { ...OPERATOR, "if-match": '"2"' },
      payload: { closesAt: null },
    });
    assert.equal(opens.statusCode, 409);
    assert.equal(opens.json<{ type: string }>().type, "/problems/event-over");
  });

  test("refuses what is not halted, no or another version, and a body", async (t) => {
    const opened = await openApp(t);
    const id = await makeEvent(opened, { mechanism: "kafka-queue" });
    const going = await end(opened, id, { tag: '"1"' });
    assert.equal(going.statusCode, 409);
    assert.equal(going.json<{ type: string }>().type, "/problems/queue-not-halted");
    opened.sale.halt(id);
    assert.equal((await end(opened, id)).statusCode, 428);
    for (const tag of ["*", '"2"', 'W/"1"', "1"]) {
      const answer = await end(opened, id, { tag });
      assert.equal(answer.statusCode, 412, tag);
      const isOfOurs = answer.json<{ detail: string }>().detail.includes("read it again");
      assert.equal(isOfOurs, tag === '"2"', tag);
    }
    for (const payload of ['{"why":1}', "[]", "1"]) {
      assert.equal((await end(opened, id, { tag: '"1"', payload })).statusCode, 400, payload);
    }
    assert.equal((await end(opened, "nowhere", { tag: '"1"' })).statusCode, 404);
    assert.equal((await opened.sale.store.find(id))?.event.voided, false);
  });
});
