import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { BrowserContextOptions, Locator, Page } from "playwright-core";

import { missing, until } from "@stampede/launcher/testing";
import { reasonToSkip, startBrowser } from "@stampede/proof/support/browser.ts";
import { startProgram } from "@stampede/proof/support/program.ts";
import { claimAs, crowd, openEvent, shopper } from "@stampede/proof/support/shopper.ts";
import type { Shopper } from "@stampede/proof/support/shopper.ts";

const skip = reasonToSkip() ?? missing("postgres", "redis", "kafka");
/** A minus that begins a number, and not one within an id. */
const WRONG_NUMBER = /NaN|undefined|Infinity|∞|(?<![\w-])-\d/;
const CHARTS = ["answers", "latency", "outcomes", "stock", "line"];

test("the live desk, in a real browser on the real program", { skip }, async (t) => {
  const program = await startProgram(t);
  const browser = await startBrowser(t);

  /** An operator who has seen the first reading: what happens from now on is counted. */
  const operator = async (
    t: TestContext,
    options: BrowserContextOptions = {},
  ): Promise<Shopper> => {
    const visitor = await shopper(t, { browser, program }, options);
    await visitor.page.goto(`${program.url}/desk.html`);
    await visitor.page.locator('#state[data-state="live"]').waitFor();
    await numberIn(visitor.page.locator("#tile-answers"), (answers) => answers >= 0);
    return visitor;
  };

  await t.test("counts every answer of a rush, draws it, and what is left goes down", async (t) => {
    const mechanism = "redis-counter";
    const event = await openEvent(program, { name: "Rush", mechanism, limit: 200 });
    const { page } = await operator(t);
    await page.selectOption("#event", { label: `Rush (${event.id})` });
    // Nobody has asked for it yet; a reconciler may have, where it opened the event in Redis first.
    await seen(page, "stock", /^This event is not in use:|^Rush: 200 of 200 left\.$/);
    assert.equal(await claimAs(program, { event, userId: "first" }), 201);
    await numberIn(page.locator("#tile-remaining"), (left) => left === 199);
    await crowd(program, { event, people: 199 });
    assert.equal(await claimAs(program, { event, userId: "late" }), 409);
    assert.equal(await claimAs(program, { event, userId: "other-7" }), 200);

    await seen(page, "answers", / 202 in all\.$/);
    await seen(
      page,
      "outcomes",
      /: 99% issued \(200\), 0\.5% had one already \(1\), 0\.5% sold out \(1\)\.$/,
    );
    await seen(page, "stock", /^Rush: 0 of 200 left\.$/);
    // And to whoever does not see it, some seconds later at most.
    await page
      .locator("#answers-summary")
      .getByText(/ 202 in all\.$/)
      .waitFor();
    assert.equal(await numberIn(page.locator("#tile-remaining"), (left) => left === 0), 0);
    assert.match(
      await textOf(page, "#latency .summary"),
      /^v2: half within [\d.]+ m?s, 95 % within/,
    );
    for (const [chart, color] of [
      ["answers", "mechanism-2"],
      ["latency", "mechanism-2"],
      ["outcomes", "issued"],
      ["stock", "event-"],
    ] as const) {
      await until(
        async () => (await pixels(page, chart, color)) > DRAWN_PIXELS_MIN,
        `the page draws ${color} in #${chart}`,
        WAIT,
      );
    }
    assert.doesNotMatch(await textOf(page, "main"), WRONG_NUMBER);
  });

  await t.test(
    "shows a line that grows with the claims and shrinks with the decisions",
    async (t) => {
      const mechanism = "kafka-queue";
      const event = await openEvent(program, { name: "Line", mechanism, limit: 100, pace: 25 });
      const { page } = await operator(t);
      await page.selectOption("#event", { label: `Line (${event.id})` });
      await crowd(program, { event, people: 60 });
      const longest = await numberIn(page.locator("#tile-line"), (waiting) => waiting > 10);
      assert.ok(longest <= 60, `${longest} wait`);
      await numberIn(page.locator("#tile-line"), (waiting) => waiting === 0);
      await numberIn(page.locator("#tile-remaining"), (left) => left === 40);
      await until(
        async () => (await pixels(page, "line", "event-")) > DRAWN_PIXELS_MIN,
        "the page draws the line",
        WAIT,
      );
    },
  );

  await t.test("tells when the server is away, leaves a gap, and goes on by itself", async (t) => {
    const event = await openEvent(program, { name: "Away", mechanism: "row-lock", limit: 50 });
    const { page } = await operator(t);
    await page.selectOption("#event", { label: `Away (${event.id})` });
    await seen(page, "stock", /^This event is not in use:/);
    await crowd(program, { event, people: 10 });
    await numberIn(page.locator("#tile-remaining"), (left) => left === 40);
    await program.kill();
    await page.getByText(/^The server cannot be reached since \d\d:\d\d:\d\d\./).waitFor();
    await program.restart();
    await page.getByText(/^Live\. No readings from \d\d:\d\d:\d\d to \d\d:\d\d:\d\d\.$/).waitFor();
    await numberIn(page.locator("#tile-answers"), (answers) => answers >= 0);
    assert.equal(await claimAs(program, { event, userId: "afterwards" }), 201);
    // The counters began anew with the process: nothing is counted twice, and nothing below zero.
    await seen(page, "answers", / 11 in all\.$/);
    assert.doesNotMatch(await textOf(page, "main"), WRONG_NUMBER);
  });

  await t.test("says what a server does not publish", async (t) => {
    const { page } = await operator(t);
    await page.route("**/metrics", async (route) => {
      const answer = await route.fetch();
      const lines = (await answer.text()).split("\n");
      const kept = lines.filter(
        (line) => !/stampede_(?:claim|event|queue|decider|engine)/.test(line),
      );
      await route.fulfill({ body: kept.join("\n"), contentType: "text/plain" });
    });
    await page.locator("#answers .note").getByText("stampede_claims_total").waitFor();
    await page.locator("#stock .note").getByText("stampede_event_remaining").waitFor();
    await page.getByText("Kafka: not known").waitFor();
    assert.equal(await textOf(page, "#tile-answers"), "–");
    assert.doesNotMatch(await textOf(page, "main"), WRONG_NUMBER);
    await page.unroute("**/metrics");
    await page.route("**/metrics", (route) => route.fulfill({ status: 502, body: "<html>" }));
    await page.getByText(/without metrics \(status 502\)/).waitFor();
  });

  await t.test("stands still while it is paused, and misses nothing", async (t) => {
    const event = await openEvent(program, { name: "Pause", mechanism: "row-lock", limit: 50 });
    const { page, requests } = await operator(t);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("Paused. The charts stand still").waitFor();
    await crowd(program, { event, people: 20 });
    const before = requests.length;
    await until(() => requests.length >= before + 3, "the page reads three more times", WAIT);
    assert.equal(await textOf(page, "#tile-answers"), "0");
    await page.getByRole("button", { name: "Continue" }).click();
    await seen(page, "answers", / 20 in all\.$/);
  });

  await t.test("works by keyboard, and tells a point to whoever cannot see it", async (t) => {
    const event = await openEvent(program, { name: "Keys", mechanism: "row-lock", limit: 50 });
    assert.equal(await claimAs(program, { event, userId: "ana" }), 201);
    const { page } = await operator(t);
    const chart = page.getByRole("img", { name: "Coupons" });
    for (let presses = 0; presses < 30; presses += 1) {
      await page.keyboard.press("Tab");
      if ((await chart.and(page.locator(":focus")).count()) === 1) break;
    }
    const summary = page.locator("#stock-summary");
    assert.equal(await summary.getAttribute("aria-live"), "polite", "the chart in focus speaks");
    assert.equal(await page.locator('[aria-live="polite"]').count(), 1, "and no other does");
    await page.keyboard.press("ArrowLeft");
    await summary.getByText(/^\d\d:\d\d:\d\d: .*Keys 49/).waitFor();
    await page.keyboard.press("Escape");
    await summary.getByText(/Keys: 49 of 50 left/).waitFor();
  });

  await t.test("fits into 320 pixels, light and dark, and is drawn in both", async (t) => {
    const name = "W".repeat(100);
    const event = await openEvent(program, { name, mechanism: "kafka-queue", limit: 1_000_000 });
    assert.equal(await claimAs(program, { event, userId: "ana" }), 202);
    for (const colorScheme of ["light", "dark"] as const) {
      const { page, width } = await operator(t, {
        colorScheme,
        viewport: { width: 320, height: 640 },
      });
      await page.locator("#event option", { hasText: name }).waitFor({ state: "attached" });
      await page.selectOption("#event", event.id);
      await page.locator("#stock .legend").getByText(name).waitFor();
      assert.equal(await width(), 320);
      await until(
        async () => (await pixels(page, "stock", "event-")) > DRAWN_PIXELS_MIN,
        "the page draws the line in its colour",
        WAIT,
      );
      for (const chart of CHARTS) assert.equal(await page.locator(`#${chart} canvas`).count(), 1);
    }
  });

  await t.test("follows a change to dark, and speaks Korean to a Korean browser", async (t) => {
    const event = await openEvent(program, { name: "봄 쿠폰", mechanism: "row-lock", limit: 9 });
    assert.equal(await claimAs(program, { event, userId: "ana" }), 201);
    const { page } = await operator(t, { locale: "ko-KR", colorScheme: "light" });
    await seen(page, "stock", /봄 쿠폰: 9장 중 8장 남았습니다\./);
    await until(
      async () => (await pixels(page, "stock", "event-")) > DRAWN_PIXELS_MIN,
      "the page draws in light colours",
      WAIT,
    );
    await page.emulateMedia({ colorScheme: "dark" });
    await until(
      async () => (await pixels(page, "stock", "event-")) > DRAWN_PIXELS_MIN,
      "the page draws in dark colours",
      WAIT,
    );
    await page.getByRole("button", { name: "English" }).click();
    await page.reload();
    await page.getByRole("heading", { name: "Live desk" }).waitFor();
  });

  await t.test("is linked from the page, and gets its charts from the server itself", async (t) => {
    const { page, requests } = await shopper(t, { browser, program });
    await page.getByRole("link", { name: "Live desk" }).click();
    await page.locator("#answers canvas").waitFor();
    assert.ok(requests.includes("GET /vendor/uplot/uPlot.esm.js"));
    const desk = await fetch(`${program.url}/desk.html`);
    assert.doesNotMatch(await desk.text(), /<script(?![^>]*src=)|<style|\sstyle=|\son\w+=/);
    for (const path of [
      "/desk.html",
      "/vendor/uplot/uPlot.esm.js",
      "/vendor/uplot/uPlot.min.css",
    ]) {
      const { headers } = await fetch(program.url + path);
      const policy = headers.get("content-security-policy") ?? "";
      assert.match(policy, /default-src 'none'/);
      assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|https?:|\*/);
    }
    assert.equal((await fetch(`${program.url}/vendor/uplot/uPlot.cjs.js`)).status, 404);
  });
});

const WAIT = { msMax: 15_000, pollMs: 50 };
/** More than a chart without data has: a few seconds of one line on a narrow page. */
const DRAWN_PIXELS_MIN = 5;

async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).textContent()) ?? "";
}

/** Waits for the sentence under a chart. */
async function seen(page: Page, chart: string, sentence: RegExp): Promise<void> {
  const summary = `#${chart} .summary`;
  const isSeen = async (): Promise<boolean> => sentence.test(await textOf(page, summary));
  await until(isSeen, `${summary} says ${sentence}`, WAIT).catch(async (error: unknown) => {
    throw new Error(`${summary} says "${await textOf(page, summary)}"`, { cause: error });
  });
}

/** The first number that a tile shows and that is accepted. */
async function numberIn(tile: Locator, accept: (value: number) => boolean): Promise<number> {
  let seen: number | null = null;
  await until(
    async () => {
      const text = ((await tile.textContent()) ?? "").replaceAll(",", "");
      seen = /^[\d.]+$/.test(text) ? Number(text) : null;
      return seen !== null && accept(seen);
    },
    `${String(tile)} shows the number`,
    WAIT,
  );
  return seen ?? Number.NaN;
}

/** How many pixels of a chart have one of the colours whose names begin so, as of now. */
async function pixels(page: Page, chart: string, color: string): Promise<number> {
  const counted: unknown = await page.evaluate(`(() => {
    const canvas = document.querySelector("#${chart} canvas");
    const style = getComputedStyle(document.documentElement);
    const names = ["issued", "queued", ...["mechanism-", "event-"].flatMap((kind) =>
      [1, 2, 3, 4, 5, 6].map((index) => kind + index))];
    const wanted = new Set(names.filter((name) => name.startsWith("${color}")).map((name) =>
      parseInt(style.getPropertyValue("--chart-" + name).trim().slice(1), 16)));
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const rgb = data[at] * 65536 + data[at + 1] * 256 + data[at + 2];
      if (data[at + 3] === 255 && wanted.has(rgb)) count += 1;
    }
    return count;
  })()`);
  assert.ok(typeof counted === "number");
  return counted;
}
