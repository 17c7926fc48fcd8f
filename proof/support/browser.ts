import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { TestContext } from "node:test";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
/** Nothing of the browser's own may go out, and it runs in a container without a GPU. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Why the browser tests cannot run here, or null. With STAMPEDE_NO_SKIPS=1, as in CI, a missing
 * browser is a failure: they run, and `startBrowser` says what is missing.
 */
export function reasonToSkip(): string | null {
  if (findChromium() !== null || process.env["STAMPEDE_NO_SKIPS"] === "1") return null;
  return missing();
}

export async function startBrowser(t: Pick<TestContext, "after">): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === null) throw new Error(missing());
  const browser = await chromium.launch({ executablePath, args: ARGUMENTS, headless: true });
  t.after(() => browser.close());
  return browser;
}

function missing(): string {
  return "no Chromium on the PATH: install the package chromium (Debian: apt-get install chromium)";
}

function findChromium(): string | null {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    for (const name of NAMES) {
      const path = join(folder, name);
      if (isExecutable(path)) return path;
    }
  }
  return null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not ours to run.
    return false;
  }
}
