import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";

import type { Program } from "./program.ts";

const WAIT_MS_MAX = 15_000;

export type NewEvent = {
  readonly name: string;
  readonly mechanism: string;
  readonly limit: number;
  readonly opensAt?: string;
  readonly pace?: number;
  readonly listed?: boolean;
};
export type OpenedEvent = { readonly id: string; readonly name: string; readonly claim: string };

/** What the operator and other people do: over HTTP, beside the browser. */
export async function openEvent(program: Program, event: NewEvent): Promise<OpenedEvent> {
  const response = await fetch(`${program.url}/events`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${program.adminToken}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ id: `e2e-${randomBytes(5).toString("hex")}`, ...event }),
  });
  assert.equal(response.status, 201, await response.clone().text());
  const { id, name, claim } = await membersOf(response);
  return { id: String(id), name: String(name), claim: String(claim) };
}

/** So many other people claim, one after the other within a lane, and get their answers. */
export async function crowd(
  program: Program,
  { event, people }: { readonly event: OpenedEvent; readonly people: number },
): Promise<void> {
  const claims = Array.from({ length: people }, (_, index) =>
    claimAs(program, { event, userId: `other-${index}` }),
  );
  for (const status of await Promise.all(claims)) assert.ok(status < 300, `claim: ${status}`);
}

export async function claimAs(
  program: Program,
  { event, userId }: { readonly event: OpenedEvent; readonly userId: string },
): Promise<number> {
  const response = await fetch(`${program.url}${event.claim}`, {
    method: "POST",
    headers: { "x-user-id": userId },
  });
  await response.arrayBuffer();
  return response.status;
}

/** What the server says of this person: the truth beside what the page shows. */
export async function statusOf(
  program: Program,
  { event, userId }: { readonly event: OpenedEvent; readonly userId: string },
): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(`${program.url}/events/${event.id}/issues/me`, {
    headers: { "x-user-id": userId },
  });
  return membersOf(response);
}

async function membersOf(response: Response): Promise<Record<string, unknown>> {
  const body: unknown = await response.json();
  assert.ok(typeof body === "object" && body !== null);
  return { ...body };
}

export type Shopper = {
  readonly page: Page;
  /** Method and path of every request that the page sent. */
  readonly requests: readonly string[];
  /** The card of one event, found as a screen reader finds it: by its name. */
  readonly card: (event: OpenedEvent) => Locator;
  readonly userId: () => Promise<string>;
  /** Another tab of the same browser. */
  readonly secondTab: () => Promise<Page>;
  /** How wide the document is: more than the window is a horizontal scroll bar. */
  readonly width: () => Promise<unknown>;
};

/**
 * A person with a fresh browser profile on the page. After the test it must not have asked another
 * host for anything, nor broken the content security policy, nor thrown.
 */
export async function shopper(
  t: TestContext,
  { browser, program }: { readonly browser: Browser; readonly program: Program },
  options: BrowserContextOptions = {},
): Promise<Shopper> {
  const context = await browser.newContext({
    locale: "en-US",
    viewport: { width: 800, height: 900 },
    ...options,
  });
  context.setDefaultTimeout(WAIT_MS_MAX);
  const requests: string[] = [];
  const complaints: string[] = [];
  context.on("request", (request) => {
    const url = new URL(request.url());
    requests.push(`${request.method()} ${url.pathname}${url.search}`);
    if (url.origin !== program.url) complaints.push(`a request to ${url.href}`);
  });
  context.on("console", (message) => {
    // Chromium writes a line for every answer of 400 and more: those are answers, not faults.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      complaints.push(message.text());
    }
  });
  context.on("weberror", (error) => complaints.push(String(error.error())));
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  });
  const open = async (): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(program.url);
    return page;
  };
  const page = await open();
  return {
    page,
    requests,
    card: (event) => cardIn(page, event),
    userId: async () => (await page.locator("#user-id").textContent()) ?? "",
    secondTab: open,
    width: () => page.evaluate("document.documentElement.scrollWidth"),
  };
}

export function cardIn(page: Page, event: OpenedEvent): Locator {
  return page.getByRole("article", { name: event.name });
}

/** The code that a card shows, without the gaps between its groups. */
export async function codeIn(card: Locator): Promise<string> {
  const code = card.locator("code");
  await code.waitFor();
  return (await code.textContent()) ?? "";
}

/** The number ahead that a card shows now, or null while it is not known. */
async function aheadIn(card: Locator): Promise<number | null> {
  const text = (await card.locator(".ahead").textContent()) ?? "";
  return /^[\d,]+$/.test(text) ? Number(text.replaceAll(",", "")) : null;
}

/** Every number that the card showed, in order, from now until `until` is true of one. */
export async function watchAhead(
  card: Locator,
  until: (ahead: number) => boolean,
): Promise<number[]> {
  const deadline = performance.now() + WAIT_MS_MAX;
  const seen: number[] = [];
  while (performance.now() < deadline) {
    const ahead = await aheadIn(card);
    if (ahead !== null && ahead !== seen.at(-1)) seen.push(ahead);
    if (ahead !== null && until(ahead)) return seen;
    // A turn of the browser's own clock: it shows at most one frame in it.
    await card.page().evaluate("new Promise(requestAnimationFrame)");
  }
  throw new Error(`the number ahead did not get there in ${WAIT_MS_MAX} ms: ${seen.join(", ")}`);
}
