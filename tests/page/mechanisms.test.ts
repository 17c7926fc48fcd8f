// The pages draw the mechanisms that the server tells of, also one that they have never heard of. This
// server has no such mechanism, so its answers are changed on their way to the browser.
//
// Red when isEvent (wire.js) knows names, when card.js or desk-view.js has words of its own for a
// mechanism, when CLAIM_PATH (visit.js) knows versions, and when app.js waits for GET /mechanisms.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page, Route } from "playwright-core";

import { missing } from "@stampede/launcher/testing";
import { reasonToSkip, startBrowser } from "@stampede/proof/support/browser.ts";
import { startProgram } from "@stampede/proof/support/program.ts";
import { claimAs, codeIn, crowd, openEvent, shopper } from "@stampede/proof/support/shopper.ts";
import type { OpenedEvent } from "@stampede/proof/support/shopper.ts";

const skip = reasonToSkip() ?? missing("postgres", "redis", "kafka");
const MY_IDEA = {
  name: "my-idea",
  version: "v9",
  title: "My idea",
  summary: "It thinks, then it decides.",
  needs: ["postgres"],
  available: true,
};

test("the pages, with a mechanism that they have no words for", { skip }, async (t) => {
  const program = await startProgram(t);
  const browser = await startBrowser(t);
  const stage = { browser, program };

  await t.test("the shop shows its card, and the button gets a coupon", async (t) => {
    const event = await openEvent(program, { name: "Novel", mechanism: "row-lock", limit: 5 });
    const { card, page, requests } = await shopper(t, stage);
    await disguise(page, event);
    await page.reload();
    await card(event).getByText("v9 · My idea").waitFor();
    await card(event).getByText("It thinks, then it decides.").waitFor();
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    await codeIn(card(event));
    assert.ok(requests.includes(`POST /v9/events/${event.id}/issues`));
  });

  await t.test("the shop shows a line where a claim is answered with a ticket", async (t) => {
    const mechanism = "kafka-queue";
    const event = await openEvent(program, { name: "Queue", mechanism, limit: 100, pace: 5 });
    await crowd(program, { event, people: 15 });
    const { card, page } = await shopper(t, stage);
    await disguise(page, event);
    await page.reload();
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    await card(event).getByText("Coupon guaranteed").waitFor();
    await codeIn(card(event));
  });

  await t.test("the shop shows the event by the bare name, then by the words", async (t) => {
    const event = await openEvent(program, { name: "Bare", mechanism: "row-lock", limit: 5 });
    const { card, page } = await shopper(t, stage);
    await page.route("**/mechanisms", (route) => route.fulfill({ status: 503, body: "<html>" }));
    await page.reload();
    await card(event).getByText("row-lock", { exact: true }).waitFor();
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    await codeIn(card(event));
    await page.unroute("**/mechanisms");
    // The page asks for its list again when the machine is back on its network.
    await page.evaluate("dispatchEvent(new Event('online'))");
    await card(event).getByText("v1 · Row lock").waitFor();
  });

  await t.test("the shop explains v1, v2 and v3 in Korean", async (t) => {
    const { page } = await shopper(t, stage, { locale: "ko-KR" });
    for (const mechanism of ["row-lock", "redis-counter", "kafka-queue"]) {
      const event = await openEvent(program, { name: `K ${mechanism}`, mechanism, limit: 5 });
      await page.reload();
      const card = page.getByRole("article", { name: event.name });
      await card.locator(".mechanism", { hasText: /^v\d · .*[가-힣]/ }).waitFor();
      await card.locator(".explain", { hasText: /[가-힣]/ }).waitFor();
    }
  });

  await t.test("the desk draws what it does, under the words that the server tells", async (t) => {
    const event = await openEvent(program, { name: "Desk", mechanism: "row-lock", limit: 50 });
    const { page } = await shopper(t, stage);
    await disguise(page, event);
    await page.route("**/metrics", (route) => changed(route, renamed));
    await page.goto(`${program.url}/desk.html`);
    await page.locator('#state[data-state="live"]').waitFor();
    await crowd(program, { event, people: 20 });
    await page.locator("#answers .legend").getByText("v9 · My idea").waitFor();
    await page
      .locator("#latency .summary")
      .getByText(/\bv9: half within/)
      .waitFor();
    await page.selectOption("#event", { label: `Desk (${event.id})` });
    await page.locator("#answers .note").getByText("all claims of v9,").waitFor();
    await page.locator("#line .summary").getByText("knows of no line of this event").waitFor();
  });

  await t.test("the desk offers an unlisted event, and the shop does not show it", async (t) => {
    const unlisted = { name: "Hidden", mechanism: "row-lock", limit: 5, listed: false };
    const event = await openEvent(program, unlisted);
    const shown = await openEvent(program, { name: "Shown", mechanism: "row-lock", limit: 5 });
    assert.equal(await claimAs(program, { event, userId: "ana" }), 201);
    const { card, page } = await shopper(t, stage);
    await card(shown).waitFor();
    assert.equal(await card(event).count(), 0);
    await page.goto(`${program.url}/desk.html`);
    await page.selectOption("#event", { label: `Hidden (${event.id})` });
  });
});

/** From now on the page is told that this event decides by a mechanism that no page has heard of. */
async function disguise(page: Page, event: OpenedEvent): Promise<void> {
  const claim = `/v9/events/${event.id}/issues`;
  const asMine = (text: string): string => {
    const told = JSON.parse(text) as { id?: string; events?: { id: string }[] };
    const mine = <One extends { id?: string }>(one: One): One =>
      one.id === event.id ? { ...one, mechanism: MY_IDEA.name, claim } : one;
    const { events } = told;
    return JSON.stringify(
      events === undefined ? mine(told) : { ...told, events: events.map(mine) },
    );
  };
  await page.route("**/mechanisms", (route) =>
    changed(route, (text) => {
      const { mechanisms } = JSON.parse(text) as { mechanisms: unknown[] };
      return JSON.stringify({ mechanisms: [...mechanisms, MY_IDEA] });
    }),
  );
  await page.route(/\/events(?:\?|\/[a-z0-9-]+$)/, (route) => changed(route, asMine));
  await page.route(`**${claim}`, async (route) => {
    const response = await route.fetch({ url: new URL(event.claim, route.request().url()).href });
    await route.fulfill({ response });
  });
}

async function changed(route: Route, change: (text: string) => string): Promise<void> {
  const response = await route.fetch();
  await route.fulfill({ response, body: change(await response.text()) });
}

function renamed(metrics: string): string {
  return metrics.replaceAll('mechanism="row-lock"', `mechanism="${MY_IDEA.name}"`);
}
