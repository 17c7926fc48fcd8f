// The report's page in a real browser: what is drawn, what is asked for, what can be read.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";

import { writeReport, type Comparison } from "@stampede/lab/report";
import { reasonToSkip, startBrowser } from "../support/browser.ts";
import { fullFixture } from "./support/report-fixture.ts";

const skip = reasonToSkip() ?? false;

type Look = { readonly colorScheme: "light" | "dark"; readonly width: number };

/** Points of a line's own colour, by plot and subject. A line that is not drawn has none. */
const paintedPoints = `(() => {
  const near = (data, i, [r, g, b]) =>
    data[i + 3] > 200 && Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30;
  return [...document.querySelectorAll(".plot")].map((plot) => {
    const canvas = plot.querySelector("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [...plot.parentElement.querySelectorAll(".legend li")].map((item) => {
      const tone = getComputedStyle(item).getPropertyValue("--tone").trim();
      const rgb = [1, 3, 5].map((at) => parseInt(tone.slice(at, at + 2), 16));
      let points = 0;
      for (let i = 0; i < data.length; i += 4) if (near(data, i, rgb)) points += 1;
      return points;
    });
  });
})()`;

/** Every visible text whose contrast with what lies behind it is below 4.5 to 1. */
const faintTexts = `(() => {
  const rgb = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (color) => {
    const [r, g, b] = rgb(color).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (rgb(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
  return [...document.body.querySelectorAll("*")]
    .filter((element) => hasText(element) && element.checkVisibility())
    .filter((element) => {
      const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    })
    .map((element) => element.tagName + "." + element.className + ": " + element.textContent.slice(0, 40));
})()`;

test("the report's page, in a real browser", { skip }, async (t) => {
  const browser = await startBrowser(t);
  const url = await reportUrl(t, fullFixture());
  const looks: readonly Look[] = [
    { colorScheme: "light", width: 1_200 },
    { colorScheme: "dark", width: 1_200 },
    { colorScheme: "light", width: 320 },
    { colorScheme: "dark", width: 320 },
  ];
  for (const look of looks) {
    const name = `${look.colorScheme}, ${look.width} px wide`;
    await t.test(`draws every line and can be read: ${name}`, async (t) => {
      const { page, complaints, requests } = await open(t, browser, { url, look });
      await everyLineIsPainted(page);
      assert.deepEqual(await page.evaluate<string[]>(faintTexts), []);
      await openAllFolds(page);
      const width = await page.evaluate<number>("document.documentElement.scrollWidth");
      assert.ok(width <= look.width, `the page is ${width} px wide`);
      assert.deepEqual(complaints, []);
      assert.deepEqual(requests, [url], "nothing but the file itself was asked for");
    });
  }

  await t.test("has headings in order, and a name for every plot and table", async (t) => {
    const { page } = await open(t, browser, { url, look: { colorScheme: "light", width: 900 } });
    const levels = await page.evaluate<number[]>(
      `[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((head) => Number(head.tagName[1]))`,
    );
    assert.equal(levels[0], 1);
    assert.ok(levels.every((level, at) => level <= (levels[at - 1] ?? 0) + 1));
    const unnamed = await page.evaluate<number>(
      `[...document.querySelectorAll("[role=img], [role=region]")].filter((part) => !part.ariaLabel).length`,
    );
    assert.equal(unnamed, 0);
    await page.getByRole("img", { name: /^Latency: share of answers, % by latency, ms/ }).waitFor();
  });

  await t.test("tells what the lines say under the pointer", async (t) => {
    const { page } = await open(t, browser, { url, look: { colorScheme: "light", width: 900 } });
    const plot = page.locator('[data-plot="latency"] .u-over');
    await plot.scrollIntoViewIfNeeded();
    await plot.hover();
    await page
      .getByText(/^[\d.]+ % within [\d,.]+ ms$/)
      .first()
      .waitFor();
  });

  await t.test("prints on white paper, whatever the screen looks like", async (t) => {
    const { page } = await open(t, browser, { url, look: { colorScheme: "dark", width: 900 } });
    await page.emulateMedia({ media: "print" });
    await page.locator('.u-wrap[style*="width: 680px"]').nth(1).waitFor();
    await everyLineIsPainted(page);
    assert.deepEqual(await page.evaluate<string[]>(faintTexts), []);
    assert.equal(
      await page.evaluate("getComputedStyle(document.body).backgroundColor"),
      "rgb(255, 255, 255)",
    );
  });

  await t.test("shows a text that looks like a script, and does not run it", async (t) => {
    const fixture = fullFixture();
    const evil =
      "</script><script>window.ran = true</script><img src=x onerror='window.ran = true'>";
    const scenario = { ...fixture.scenario, name: evil };
    const runs = fixture.runs.map((run) => ({ ...run, eventId: evil }));
    const evilUrl = await reportUrl(t, { ...fixture, scenario, runs });
    const look: Look = { colorScheme: "light", width: 900 };
    const { page, complaints } = await open(t, browser, { url: evilUrl, look });
    assert.equal(await page.locator("h1").textContent(), evil);
    assert.equal(await page.evaluate("window.ran"), undefined);
    assert.deepEqual(complaints, []);
  });
});

test("a report is written as two files in a folder that need not be there", async (t) => {
  const folder = join(await temporaryFolder(t), "not", "yet");
  const paths = await writeReport(fullFixture(), folder);
  assert.deepEqual(paths, {
    html: join(folder, "report.html"),
    markdown: join(folder, "summary.md"),
  });
  assert.match(await readFile(paths.html, "utf8"), /^<!doctype html>/);
  assert.match(await readFile(paths.markdown, "utf8"), /^### rush/);
});

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "stampede-report-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function reportUrl(t: TestContext, comparison: Comparison): Promise<string> {
  const { html } = await writeReport(comparison, await temporaryFolder(t));
  return pathToFileURL(html).href;
}

async function open(
  t: TestContext,
  browser: Browser,
  { url, look }: { readonly url: string; readonly look: Look },
): Promise<{ page: Page; complaints: string[]; requests: string[] }> {
  const viewport = { width: look.width, height: 800 };
  const page = await browser.newPage({ viewport, colorScheme: look.colorScheme });
  t.after(() => page.close());
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith("data:")) requests.push(request.url());
  });
  await page.goto(url);
  await page.locator(".plot canvas").nth(1).waitFor();
  return { page, complaints, requests };
}

async function everyLineIsPainted(page: Page): Promise<void> {
  const points = await page.evaluate<number[][]>(paintedPoints);
  assert.deepEqual(
    points.map((lines) => lines.length),
    [4, 4],
  );
  assert.ok(
    points.flat().every((count) => count > 40),
    `points of each line: ${points.join(" / ")}`,
  );
}

async function openAllFolds(page: Page): Promise<void> {
  await page.evaluate(
    `document.querySelectorAll("details").forEach((fold) => { fold.open = true; })`,
  );
}
