// The page with AUTH=jwt, in a real browser: it asks for a token, sends nothing but it, and finds the
// place in the line again with a fresh token of the same person. The keys are at an address, and people
// are called as providers call them.
//
// Red when index.html is served unmarked (routes/page.ts), when `credentials` is not given to openApi
// (app.js), and when a 401 is told as a lost connection (`waitingKey` in view.js).
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";

import { missing } from "@stampede/launcher/testing";
import { reasonToSkip, startBrowser } from "@stampede/proof/support/browser.ts";
import { startJwtProgram } from "@stampede/proof/support/jwt-program.ts";
import type { Keyring } from "@stampede/proof/support/jwt-program.ts";
import { codeIn, openEvent, shopper } from "@stampede/proof/support/shopper.ts";
import type { OpenedEvent } from "@stampede/proof/support/shopper.ts";
import type { Program } from "@stampede/proof/support/program.ts";

const skip = reasonToSkip() ?? missing("postgres", "redis", "kafka");
const AHEAD = 40;
const PACE = 3;
const ANA = "auth0|ana+shop@example.com";
const BO = "urn:person:bo\"\\'<b>";
/** The service adds its tolerance of 5 s; the line takes longer than both. */
const LIFE_SECONDS = 2;

test("the page, where people have tokens", { skip }, async (t) => {
  const { program, keyring } = await startJwtProgram(t, {}, { by: "address" });
  const browser = await startBrowser(t);

  await t.test("says that nobody is signed in, then gives the coupon of who is", async (t) => {
    const mechanism = "row-lock";
    const event = await openEvent(program, { name: "Signed", mechanism, limit: 5 });
    const { card, page } = await shopper(t, { browser, program });
    const names: string[] = [];
    page.on("request", (request) => {
      if ("x-user-id" in request.headers()) names.push(request.url());
    });
    await page.getByText("You are not signed in.").waitFor();
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    await card(event).getByText("The server does not know who you are.").waitFor();
    await signIn(page, "no token");
    await page.getByText("This is no access token with a user id in it.").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await signIn(page, keyring.tokenOf(ANA));
    await page.getByText("Signed in as").waitFor();
    assert.equal(await page.locator("#user-id").textContent(), ANA);
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    const code = await codeIn(card(event));
    assert.equal((await statusOf(program, event, keyring.tokenOf(ANA)))["code"], code);
    await page.reload();
    assert.equal(await codeIn(card(event)), code);
    assert.deepEqual(names, [], "no name beside the token");
    const kept = String(await page.evaluate("JSON.stringify({ ...localStorage })"));
    assert.ok(!kept.includes("eyJ"), "no token outlives the tab");
  });

  await t.test("keeps the place of whose token expires, for a fresh one", async (t) => {
    const mechanism = "kafka-queue";
    const event = await openEvent(program, { name: "Line", mechanism, limit: 100, pace: PACE });
    await othersClaim(program, event, keyring);
    const { card, page } = await shopper(t, { browser, program });
    // Where the stream is up, the page asks rarely: here it is to meet the 401.
    await page.route("**/stream", (route) => route.abort());
    await page.reload();
    await signIn(page, keyring.tokenOf(BO, { lifeSeconds: LIFE_SECONDS }));
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    await card(event).getByText("Coupon guaranteed").waitFor();
    await card(event).getByText("Your place is kept: sign in again").waitFor();
    await signIn(page, keyring.tokenOf(BO));
    const code = await codeIn(card(event));
    const truth = await statusOf(program, event, keyring.tokenOf(BO));
    assert.deepEqual([truth["code"], truth["seq"]], [code, AHEAD + 1]);
  });
});

async function signIn(page: Page, token: string): Promise<void> {
  await page.locator("#change-person").click();
  await page.getByLabel("Your access token").fill(token);
  await page.getByRole("button", { name: "Save" }).click();
}

async function othersClaim(program: Program, event: OpenedEvent, keyring: Keyring): Promise<void> {
  for (let n = 0; n < AHEAD; n += 1) {
    const headers = { authorization: `Bearer ${keyring.tokenOf(`other-${n}`)}` };
    const answer = await fetch(`${program.url}${event.claim}`, { method: "POST", headers });
    assert.equal(answer.status, 202, await answer.text());
  }
}

async function statusOf(
  program: Program,
  event: OpenedEvent,
  token: string,
): Promise<Readonly<Record<string, unknown>>> {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`${program.url}/events/${event.id}/issues/me`, { headers });
  return (await answer.json()) as Record<string, unknown>;
}
