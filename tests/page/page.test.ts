import assert from "node:assert/strict";
import { test } from "node:test";

import { mechanisms } from "@stampede/infrastructure";
import { missing } from "@stampede/launcher/testing";
import { reasonToSkip, startBrowser } from "@stampede/proof/support/browser.ts";
import { startProgram } from "@stampede/proof/support/program.ts";
import {
  cardIn,
  claimAs,
  codeIn,
  crowd,
  openEvent,
  shopper,
  statusOf,
  watchAhead,
} from "@stampede/proof/support/shopper.ts";

const CODE = /^[0-9A-HJKMNP-TV-Z]{26}$/;
const skip = reasonToSkip() ?? missing("postgres", "redis", "kafka");

test("the page, in a real browser on the real program", { skip }, async (t) => {
  const program = await startProgram(t);
  const browser = await startBrowser(t);
  const stage = { browser, program };

  for (const { name: mechanism } of mechanisms) {
    await t.test(`gives a coupon by ${mechanism}, the one that the server holds`, async (t) => {
      const event = await openEvent(program, { name: `Gift ${mechanism}`, mechanism, limit: 5 });
      const { card, page, userId } = await shopper(t, stage);
      await card(event).getByRole("button", { name: "Get a coupon" }).click();
      const code = await codeIn(card(event));
      assert.match(code, CODE);
      const truth = await statusOf(program, { event, userId: await userId() });
      assert.deepEqual([truth["code"], truth["seq"]], [code, 1]);
      await card(event).getByText("Coupon 1 of 5 is yours.").waitFor();
      assert.match((await page.getByRole("status").textContent()) ?? "", /Coupon 1 of 5 is yours/);
    });
  }

  await t.test("shows the line shrinking until the coupon is there", async (t) => {
    const mechanism = "kafka-queue";
    const event = await openEvent(program, {
      name: "Slow line",
      mechanism,
      limit: 100,
      pace: 10,
    });
    await crowd(program, { event, people: 40 });
    const { card } = await shopper(t, stage);
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    await card(event).getByText("Coupon guaranteed").waitFor();
    const seen = await watchAhead(card(event), (ahead) => ahead <= 2);
    assert.ok(seen.length >= 5, `it moved in steps that can be seen: ${seen.join(", ")}`);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => b - a),
      "it never grew",
    );
    assert.match(await codeIn(card(event)), CODE);
  });

  await t.test("goes on showing what is left to whoever has a coupon", async (t) => {
    const event = await openEvent(program, { name: "Left", mechanism: "row-lock", limit: 5 });
    const { card } = await shopper(t, stage);
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    await codeIn(card(event));
    await card(event).getByText("4 of 5 left").waitFor();
    assert.equal(await claimAs(program, { event, userId: "next" }), 201);
    await card(event).getByText("3 of 5 left").waitFor();
  });

  await t.test("finds the place in the line again after a reload", async (t) => {
    const mechanism = "kafka-queue";
    const event = await openEvent(program, {
      name: "Kept place",
      mechanism,
      limit: 100,
      pace: 8,
    });
    await crowd(program, { event, people: 50 });
    const { card, page, requests } = await shopper(t, stage);
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    const [before = 0] = await watchAhead(card(event), (ahead) => ahead < 49);
    await page.reload();
    const [after = Infinity] = await watchAhead(card(event), () => true);
    assert.ok(after <= before, `${after} ahead after the reload, ${before} before`);
    assert.match(await codeIn(card(event)), CODE);
    const claims = requests.filter((request) => request.startsWith("POST"));
    assert.equal(claims.length, 1, "a reload claims nothing");
  });

  await t.test("tells who came too late, from the stream alone", async (t) => {
    const mechanism = "kafka-queue";
    // The last coupon goes after six seconds: the shopper must be in line before that.
    const event = await openEvent(program, { name: "A dozen", mechanism, limit: 12, pace: 2 });
    await crowd(program, { event, people: 19 });
    const { card, requests } = await shopper(t, stage);
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    await card(event).getByText("Sold out. Every coupon went to somebody else.").waitFor();
    assert.deepEqual(
      requests.filter((request) => request.includes("/issues/me")),
      [],
    );
  });

  await t.test("waits in line by polling where the stream cannot be had", async (t) => {
    const mechanism = "kafka-queue";
    const event = await openEvent(program, { name: "No stream", mechanism, limit: 100, pace: 5 });
    await crowd(program, { event, people: 15 });
    const { card, page } = await shopper(t, stage);
    await page.route("**/stream", (route) => route.abort());
    await page.reload();
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    assert.match(await codeIn(card(event)), CODE);
  });

  await t.test("keeps the place while the service is killed and started again", async (t) => {
    const mechanism = "kafka-queue";
    const event = await openEvent(program, { name: "Crash", mechanism, limit: 100, pace: 3 });
    await crowd(program, { event, people: 40 });
    const { card, requests } = await shopper(t, stage);
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    const [before = 0] = await watchAhead(card(event), (ahead) => ahead < 39);
    await program.kill();
    await card(event).getByText("Connection lost. Your place is kept").waitFor();
    await program.restart();
    const seen = await watchAhead(card(event), (ahead) => ahead < 25);
    assert.ok(Math.max(...seen) <= before, `${seen.join(", ")} after ${before}`);
    assert.match(await codeIn(card(event)), CODE);
    assert.equal(requests.filter((request) => request.startsWith("POST")).length, 1);
  });

  await t.test("says sold out to whoever comes after the last coupon", async (t) => {
    const event = await openEvent(program, { name: "Last one", mechanism: "row-lock", limit: 1 });
    const { card } = await shopper(t, stage);
    const button = card(event).getByRole("button", { name: "Get a coupon" });
    await button.waitFor();
    assert.equal(await claimAs(program, { event, userId: "faster" }), 201);
    await card(event).getByText("All coupons are gone.").waitFor();
    await card(event).getByRole("button", { name: "Look for my coupon" }).click();
    await card(event).getByText("Sold out. Every coupon went to somebody else.").waitFor();
  });

  await t.test("a double click is one claim and one coupon", async (t) => {
    const event = await openEvent(program, {
      name: "Twice",
      mechanism: "redis-counter",
      limit: 9,
    });
    const { card, requests } = await shopper(t, stage);
    await card(event).getByRole("button", { name: "Get a coupon" }).dblclick();
    await codeIn(card(event));
    assert.equal(requests.filter((request) => request === `POST ${event.claim}`).length, 1);
    assert.equal(await claimAs(program, { event, userId: "next" }), 201);
    assert.equal((await statusOf(program, { event, userId: "next" }))["seq"], 2);
  });

  await t.test("a second tab shows the coupon without being asked", async (t) => {
    const event = await openEvent(program, { name: "Two tabs", mechanism: "row-lock", limit: 9 });
    const { card, secondTab } = await shopper(t, stage);
    const other = cardIn(await secondTab(), event);
    await other.waitFor();
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    assert.equal(await codeIn(other), await codeIn(card(event)));
  });

  await t.test("asks for the truth where the answer to a claim is lost", async (t) => {
    const event = await openEvent(program, { name: "Lost", mechanism: "row-lock", limit: 9 });
    const { card, page, userId, requests } = await shopper(t, stage);
    await page.route(`**${event.claim}`, async (route) => {
      // The server has it and answers; the answer never reaches the page.
      await route.fetch();
      await route.abort("connectionreset");
    });
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    const shown = await codeIn(card(event));
    const truth = await statusOf(program, { event, userId: await userId() });
    assert.equal(shown, truth["code"]);
    assert.equal(requests.filter((request) => request.startsWith("POST")).length, 1);
  });

  await t.test("offers to claim again where a lost claim never arrived", async (t) => {
    const event = await openEvent(program, { name: "Gone", mechanism: "row-lock", limit: 9 });
    const { card, page } = await shopper(t, stage);
    await page.route(`**${event.claim}`, (route) => route.abort("connectionreset"), { times: 1 });
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    await card(event).getByText("The server knows of no claim of yours so far.").waitFor();
    await card(event).getByRole("button", { name: "Claim again" }).click();
    assert.match(await codeIn(card(event)), CODE);
  });

  await t.test("counts down to the opening, then the button works", async (t) => {
    const opensAt = new Date(Date.now() + 4_000).toISOString();
    const event = await openEvent(program, {
      name: "Soon",
      mechanism: "row-lock",
      limit: 9,
      opensAt,
    });
    const { card } = await shopper(t, stage);
    await card(event).getByRole("button", { name: "Not open yet" }).waitFor();
    await card(event).getByText("Opens in 00:0").waitFor();
    await card(event).getByText("Open now.").waitFor();
    await card(event).getByRole("button", { name: "Get a coupon" }).click();
    assert.match(await codeIn(card(event)), CODE);
  });

  await t.test("works with the keyboard alone, and keeps the focus in the card", async (t) => {
    const event = await openEvent(program, { name: "Keys", mechanism: "row-lock", limit: 9 });
    const { card, page } = await shopper(t, stage);
    const button = card(event).getByRole("button", { name: "Get a coupon" });
    await button.waitFor();
    for (let presses = 0; presses < 30; presses += 1) {
      await page.keyboard.press("Tab");
      if ((await button.and(page.locator(":focus")).count()) === 1) break;
    }
    await page.keyboard.press("Enter");
    await codeIn(card(event));
    await page.keyboard.press("Tab");
    const copy = card(event).getByRole("button", { name: "Copy the code" });
    assert.equal(await copy.and(page.locator(":focus")).count(), 1);
  });

  await t.test("speaks Korean to a Korean browser, and keeps a chosen language", async (t) => {
    const event = await openEvent(program, { name: "봄 쿠폰", mechanism: "row-lock", limit: 9 });
    const { card, page } = await shopper(t, stage, { locale: "ko-KR" });
    await card(event).getByRole("button", { name: "쿠폰 받기" }).click();
    await card(event).getByText("9장 중 1번째 쿠폰을 받았습니다.").waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "ko");
    await page.getByRole("button", { name: "English" }).click();
    await page.reload();
    await card(event).getByText("Coupon 1 of 9 is yours.").waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
  });

  await t.test(
    "refuses a wrong user id before sending anything, and keeps a right one",
    async (t) => {
      const { page, userId, requests } = await shopper(t, stage);
      await page.getByRole("button", { name: "Change" }).click();
      const field = page.getByLabel("Your user id");
      await field.fill("two words");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByRole("alert").waitFor();
      assert.equal(await field.getAttribute("aria-invalid"), "true");
      await field.fill("ana@example.com");
      await page.getByRole("button", { name: "Save" }).click();
      await page.reload();
      assert.equal(await userId(), "ana@example.com");
      assert.ok(requests.every((request) => !request.includes("two")));
    },
  );

  await t.test("fits into 320 pixels, in every state, light and dark", async (t) => {
    const name = "W".repeat(100);
    const mechanism = "kafka-queue";
    const event = await openEvent(program, { name, mechanism, limit: 1_000_000, pace: 2 });
    await crowd(program, { event, people: 6 });
    for (const colorScheme of ["light", "dark"] as const) {
      const viewport = { width: 320, height: 640 };
      const { card, width } = await shopper(t, stage, { colorScheme, viewport });
      await card(event).getByRole("button", { name: "Get a coupon" }).click();
      assert.equal(await width(), 320);
      await watchAhead(card(event), () => true);
      assert.equal(await width(), 320);
      await codeIn(card(event));
      assert.equal(await width(), 320);
    }
  });

  await t.test("allows neither inline scripts nor other hosts", async () => {
    const response = await fetch(program.url);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|https?:|\*/);
    assert.doesNotMatch(await response.text(), /<script(?![^>]*src=)|\sstyle=|\son\w+=/);
  });

  await t.test("shows older events on demand", async (t) => {
    for (let index = 0; index < 21; index += 1) {
      await openEvent(program, { name: `Many ${index}`, mechanism: "row-lock", limit: 1 });
    }
    const { page } = await shopper(t, stage);
    await page.getByRole("article", { name: "Many 20" }).waitFor();
    assert.equal(await page.getByRole("article", { name: "Many 0", exact: true }).count(), 0);
    await page.getByRole("button", { name: "Show more events" }).click();
    await page.getByRole("article", { name: "Many 0", exact: true }).waitFor();
  });
});
