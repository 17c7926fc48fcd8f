// <stampede-coupon> in a shop's own page, of another origin, in a real browser on the real program. Red
// when CORS_ORIGINS is not read, when embed.js is not for other origins (page.ts), and when a click is
// not answered by a button that is off until the answer comes.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { withDatabase } from "@stampede/proof/faults/support/sale.ts";
import { missing } from "@stampede/launcher/testing";
import { reasonToSkip, startBrowser } from "@stampede/proof/support/browser.ts";
import { startJwtProgram } from "@stampede/proof/support/jwt-program.ts";
import { startProgram } from "@stampede/proof/support/program.ts";
import type { Program } from "@stampede/proof/support/program.ts";
import { claimAs, crowd, openEvent, statusOf } from "@stampede/proof/support/shopper.ts";
import type { OpenedEvent } from "@stampede/proof/support/shopper.ts";
import { customer, openShop } from "./shop-page.ts";

const skip = reasonToSkip() ?? missing("postgres", "redis", "kafka");
const BYTES_MAX = 5_000;
/** Sixty people at four a second, a restart in between, on a busy machine. */
const LINE_MS_MAX = 60_000;

test("embed.js is small", () => {
  const { size } = statSync(new URL("../../web/public/embed.js", import.meta.url));
  assert.ok(size <= BYTES_MAX, `${size} bytes of ${BYTES_MAX}`);
});

test("a coupon in somebody's shop", { skip }, async (t) => {
  const shop = await openShop(t);
  const program = await startProgram(t, { CORS_ORIGINS: shop.origin });
  shop.at = program.url;
  const browser = await startBrowser(t);
  const stage = { browser, shop };

  await t.test("is claimed once by a double click, and the shop is told its code", async (t) => {
    const event = await openEvent(program, { name: "Embedded", mechanism: "row-lock", limit: 5 });
    shop.script = `
      addEventListener("stampede-issued", ({ detail }) => { document.title = detail.code; });`;
    const { page, coupon, button, requests, complaints } = await customer(t, stage, {
      event: event.id,
      user: "ana",
    });
    await button.dblclick();
    await coupon.getByText("Your coupon:").waitFor();
    const code = await coupon.locator("code").textContent();
    assert.equal(code, (await statusOf(program, { event, userId: "ana" }))["code"]);
    assert.equal(await page.title(), code);
    assert.equal(requests.filter((request) => request.startsWith("POST")).length, 1);
    assert.equal(await button.isVisible(), false);
    await page.reload();
    await coupon.getByText(String(code)).waitFor();
    assert.equal(requests.filter((request) => request.startsWith("POST")).length, 1);
    assert.deepEqual(complaints, [], "neither the shop's policy nor anything else is broken");
  });

  await t.test("shows the place in line, and keeps it over a reload and a crash", async (t) => {
    const mechanism = "kafka-queue";
    const event = await openEvent(program, { name: "Line", mechanism, limit: 100, pace: 4 });
    await crowd(program, { event, people: 60 });
    const { page, coupon, button, requests } = await customer(t, stage, {
      event: event.id,
      user: "bo",
    });
    await button.click();
    const ahead = async (): Promise<number> => {
      await coupon.getByText("Your place is kept. You are in line. Ahead of you:").waitFor();
      return Number(await coupon.locator("code").textContent());
    };
    const before = await ahead();
    assert.ok(before <= 60);
    assert.ok(requests.includes(`GET /events/${event.id}/stream`), requests.join());
    await page.reload();
    const after = await ahead();
    assert.ok(after <= before, `${after} ahead after the reload, ${before} before`);
    await program.kill();
    await coupon.getByText("Your place is kept. No connection. Trying again.").waitFor();
    await program.restart();
    assert.ok((await ahead()) <= after);
    // The line goes on at its pace, from wherever the crash found it.
    await coupon.getByText("Your coupon:").waitFor({ timeout: LINE_MS_MAX });
    assert.equal((await statusOf(program, { event, userId: "bo" }))["seq"], 61);
    assert.equal(requests.filter((request) => request.startsWith("POST")).length, 1);
  });

  await t.test("tells that the line stands still, and that the shop ended the sale", async (t) => {
    const mechanism = "kafka-queue";
    const event = await openEvent(program, { name: "Halted", mechanism, limit: 100, pace: 1 });
    await crowd(program, { event, people: 30 });
    const { coupon, button } = await customer(t, stage, { event: event.id, user: "cy" });
    await button.click();
    await coupon.getByText("You are in line.").waitFor();
    await withDatabase(program, async (client) =>
      client.query("UPDATE queues SET halted = 'lost' WHERE event_id = $1", [event.id]),
    );
    await coupon.getByText("The line stands still until the shop acts.").waitFor();
    await operate(program, event, { method: "POST", path: "/void" });
    await coupon.getByText("The shop ended this sale.").waitFor();
  });

  await t.test("counts on the opening, pauses, and is over, by the server's word", async (t) => {
    const opensAt = new Date(Date.now() + 3_000).toISOString();
    const mechanism = "row-lock";
    const event = await openEvent(program, { name: "Soon", mechanism, limit: 1, opensAt });
    const { page, coupon, button } = await customer(t, stage, { event: event.id, user: "di" });
    await coupon.getByText("Opens:").waitFor();
    assert.ok(await button.isDisabled());
    await page.locator("stampede-coupon >> button:enabled").waitFor();
    await operate(program, event, { method: "PATCH", body: { paused: true } });
    await button.click();
    await coupon.getByText("Paused. Try again soon.").waitFor();
    await operate(program, event, { method: "PATCH", body: { paused: false } });
    assert.equal(await claimAs(program, { event, userId: "faster" }), 201);
    await button.click();
    await coupon.getByText("Sold out.").waitFor();
  });

  await t.test("speaks the page's Korean, and works by the keyboard alone", async (t) => {
    const event = await openEvent(program, { name: "봄", mechanism: "redis-counter", limit: 5 });
    const { page, coupon, button } = await customer(t, stage, {
      event: event.id,
      user: "eun",
      lang: "ko",
    });
    await coupon.getByRole("button", { name: "쿠폰 받기" }).waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await button.evaluate((node) => node.matches(":focus")), true);
    await page.keyboard.press("Enter");
    await coupon.getByRole("status").getByText("쿠폰 코드:").waitFor();
  });

  await t.test("asks for the truth where the answer to a claim is lost", async (t) => {
    const event = await openEvent(program, { name: "Lost", mechanism: "row-lock", limit: 5 });
    const { page, coupon, button, requests } = await customer(t, stage, {
      event: event.id,
      user: "fi",
    });
    await page.route(`**${event.claim}`, async (route) => {
      await claimAs(program, { event, userId: "fi" });
      await route.abort("connectionreset");
    });
    await button.click();
    await coupon.getByText("Your coupon:").waitFor({ timeout: LINE_MS_MAX });
    assert.equal(requests.filter((request) => request.startsWith("POST")).length, 1);
  });

  await t.test("is shown by the example page too", async (t) => {
    const event = await openEvent(program, { name: "Example", mechanism: "row-lock", limit: 5 });
    const page = await browser.newPage({ locale: "en-US" });
    t.after(() => page.close());
    await page.goto(`${program.url}/embed-example.html?event=${event.id}&user=gil`);
    await page.getByRole("button", { name: "Get a coupon" }).click();
    await page.getByText("The shop's cart has the code").waitFor();
  });
});

test("a shop that the service does not name is told so, by name", { skip }, async (t) => {
  const shop = await openShop(t);
  const program = await startProgram(t, { CORS_ORIGINS: "https://other.example" });
  shop.at = program.url;
  const event = await openEvent(program, { name: "Closed", mechanism: "row-lock", limit: 5 });
  const browser = await startBrowser(t);
  const { coupon, button, complaints } = await customer(
    t,
    { browser, shop },
    {
      event: event.id,
      user: "ana",
    },
  );
  await coupon.getByText("No connection. Trying again.").waitFor();
  const told = `Stampede: CORS_ORIGINS of ${program.url}/ must name ${shop.origin}`;
  while (!complaints.includes(told)) await coupon.page().waitForEvent("console");
  assert.equal(await button.isVisible(), false);
  assert.equal((await statusOf(program, { event, userId: "ana" }))["status"], "none");
});

test("a coupon in a shop whose customers have tokens", { skip }, async (t) => {
  const shop = await openShop(t);
  const { program, keyring } = await startJwtProgram(t, { CORS_ORIGINS: shop.origin });
  shop.at = program.url;
  const event = await openEvent(program, { name: "Signed", mechanism: "row-lock", limit: 5 });
  const browser = await startBrowser(t);
  shop.script = `document.querySelector("stampede-coupon").token = async () => globalThis.mine;`;
  const { page, coupon, button } = await customer(t, { browser, shop }, { event: event.id });
  await button.click();
  await coupon.getByText("Sign in to get a coupon.").waitFor();
  await page.evaluate(`globalThis.mine = ${JSON.stringify(keyring.tokenOf("ana"))}`);
  await button.click();
  await coupon.getByText("Your coupon:").waitFor();
});

async function operate(
  program: Program,
  event: OpenedEvent,
  how: { readonly method: string; readonly path?: string; readonly body?: object },
): Promise<void> {
  const url = `${program.url}/events/${event.id}`;
  const tag = (await fetch(url)).headers.get("etag") ?? "";
  const headers = {
    authorization: `Bearer ${program.adminToken}`,
    "if-match": tag,
    ...(how.body === undefined ? {} : { "content-type": "application/json" }),
  };
  const body = how.body === undefined ? null : JSON.stringify(how.body);
  const answer = await fetch(`${url}${how.path ?? ""}`, { method: how.method, headers, body });
  assert.equal(answer.status, 200, await answer.text());
}
