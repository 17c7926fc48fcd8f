import assert from "node:assert/strict";
import { test } from "node:test";

import { missing } from "@stampede/launcher/testing";
import { reasonToSkip, startBrowser } from "@stampede/proof/support/browser.ts";
import { withDatabase } from "@stampede/proof/faults/support/sale.ts";
import { startProgram } from "@stampede/proof/support/program.ts";
import { crowd, openEvent, shopper, statusOf } from "@stampede/proof/support/shopper.ts";

const skip = reasonToSkip() ?? missing("postgres", "redis", "kafka");

test("the page tells that a line stands still, and that the shop ended it", { skip }, async (t) => {
  const program = await startProgram(t);
  const browser = await startBrowser(t);
  const wanted = { name: "Broken line", mechanism: "kafka-queue", limit: 100, pace: 1 };
  const event = await openEvent(program, wanted);
  await crowd(program, { event, people: 60 });
  const { card, page, userId } = await shopper(t, { browser, program });
  await card(event).getByRole("button", { name: "Get a coupon" }).click();
  await card(event).getByText("Coupon guaranteed").waitFor();
  await withDatabase(program, async (client) =>
    client.query("UPDATE queues SET halted = 'the log lost records' WHERE event_id = $1", [
      event.id,
    ]),
  );
  await card(event).getByText("The line has stopped until the shop acts.").waitFor();
  const url = `${program.url}/events/${event.id}`;
  const tag = (await fetch(url)).headers.get("etag") ?? "";
  const authorization = `Bearer ${program.adminToken}`;
  const headers = { authorization, "if-match": tag };
  assert.equal((await fetch(`${url}/void`, { method: "POST", headers })).status, 200);
  const ended = card(event).getByText("Your place was not decided, and you have no coupon.");
  await ended.waitFor();
  await page.reload();
  await ended.waitFor();
  const truth = await statusOf(program, { event, userId: await userId() });
  assert.equal(truth["status"], "voided");
});
