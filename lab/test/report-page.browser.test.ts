// The report's page in a real browser: what is drawn, what is asked for, what can be read.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";

import { writeReport, type Comparison } from "@stampede/lab/report";
import { reasonToSkip, startBrowser } from "@stampede/proof/support/browser.ts";
import { fullFixture } from "./support/report-fixture.ts";

const skip = reasonToSkip() ?? false;

type Look = { readonly colorScheme: "light" | "dark"; readonly width: number };

/** The colours of the visible drawings' lines, bars and points, as the browser paints them. */
const paintedTones = `(() => {
  const shown = [...document.querySelectorAll(".drawing")].filter((one) => one.checkVisibility());
  return shown.map((drawing) => {
    const own = [...drawing.querySelectorAll("path, polyline, polygon")].map((shape) => {
      const { fill, stroke } = getComputedStyle(shape);
      const box = shape.getBBox();
      return box.width + box.height > 1 ? [fill, stroke] : [];
    });
    return [...new Set(own.flat())].filter((color) => color.startsWith("rgb("));
  });
})()`;

/** The tones of all subjects as the style sheet has them now. */
const tones = `(() => {
  const probe = document.body.appendChild(document.createElement("i"));
  const found = ["tone-1", "tone-2", "tone-3", "tone-4", "tone-ceiling"].map((name) => {
    probe.style.color = "var(--" + name + ")";
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return found;
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
      const [a, b] = [light(element.namespaceURI.endsWith("svg") ? getComputedStyle(element).fill : getComputedStyle(element).color), light(behind(element))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    })
    .map((element) => element.tagName + "." + element.getAttribute("class") + ": " + element.textContent.slice(0, 40));
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
      await everySubjectIsPainted(page);
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

  await t.test("scales no text of a drawing out of sight", async (t) => {
    for (const width of [320, 1_200]) {
      const { page } = await open(t, browser, { url, look: { colorScheme: "light", width } });
      const least = await page.evaluate<number>(
        `Math.min(...[...document.querySelectorAll(".drawing text")].filter((text) => text.checkVisibility()).map((text) => text.getBoundingClientRect().height))`,
      );
      assert.ok(least >= 9, `a text of ${least} px on ${width} px`);
    }
  });

  await t.test("prints on white paper, whatever the screen looks like", async (t) => {
    const { page } = await open(t, browser, { url, look: { colorScheme: "dark", width: 900 } });
    await page.emulateMedia({ media: "print" });
    await everySubjectIsPainted(page);
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
  return { page, complaints, requests };
}

/** Every drawing shows somebody, and all of them together everybody, in the tones of this look. */
async function everySubjectIsPainted(page: Page): Promise<void> {
  const painted = await page.evaluate<string[][]>(paintedTones);
  const wanted = await page.evaluate<string[]>(tones);
  assert.equal(painted.length, 9, "seven charts of bars and two of lines, each once");
  const last = painted.filter((colors) => wanted.every((tone) => colors.includes(tone)));
  // The empty handler issues no coupon, so it is not in all of them.
  assert.ok(last.length >= 4, painted.map((colors) => colors.join(" ")).join("\n"));
  for (const colors of painted) {
    assert.ok(wanted.filter((tone) => colors.includes(tone)).length >= 4, colors.join(" "));
  }
}

async function openAllFolds(page: Page): Promise<void> {
  await page.evaluate(
    `document.querySelectorAll("details").forEach((fold) => { fold.open = true; })`,
  );
}
