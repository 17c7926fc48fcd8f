// Somebody's shop on another port, with <stampede-coupon> in its page and a strict policy of its own.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";

const WAIT_MS_MAX = 60_000;

export type Shop = {
  readonly origin: string;
  /** Where Stampede is; known only after the shop, whose origin it has to know. */
  at: string;
  /** What the shop's own script does, before the element is defined. */
  script: string;
};

export async function openShop(t: Pick<TestContext, "after">): Promise<Shop> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://shop");
    if (pathname === "/shop.js") {
      response.setHeader("content-type", "text/javascript").end(shop.script);
      return;
    }
    const { origin } = new URL(shop.at);
    response.setHeader("content-type", "text/html; charset=utf-8").setHeader(
      "content-security-policy",
      // Nothing from elsewhere, nothing inline, and no text that becomes HTML.
      `default-src 'none'; img-src data:; script-src 'self' ${origin}; connect-src ${origin}; ` +
        "require-trusted-types-for 'script'",
    );
    const attributes = [...searchParams].map(([name, value]) => `${name}="${value}"`).join(" ");
    response.end(
      `<!doctype html><title>A shop</title><link rel="icon" href="data:,">` +
        `<script src="/shop.js" defer></script>` +
        `<script type="module" src="${shop.at}/embed.js"></script>` +
        `<stampede-coupon ${attributes}></stampede-coupon>`,
    );
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const shop: Shop = { origin: `http://127.0.0.1:${port}`, at: "", script: "" };
  return shop;
}

export type Customer = {
  readonly page: Page;
  readonly coupon: Locator;
  readonly button: Locator;
  /** Method and path of every request to Stampede that is about an event. */
  readonly requests: readonly string[];
  /** What the browser's console was told as an error, but for answers of 400 and more. */
  readonly complaints: string[];
};

/** Opens the shop's page in a fresh browser profile. `complaints` are looked at by the test. */
export async function customer(
  t: TestContext,
  { browser, shop }: { readonly browser: Browser; readonly shop: Shop },
  attributes: Readonly<Record<string, string>>,
  options: BrowserContextOptions = {},
): Promise<Customer> {
  const context = await browser.newContext({ locale: "en-US", ...options });
  context.setDefaultTimeout(WAIT_MS_MAX);
  t.after(() => context.close());
  const requests: string[] = [];
  const complaints: string[] = [];
  context.on("request", (request) => {
    const { origin, pathname, search } = new URL(request.url());
    if (pathname.includes("/events/")) requests.push(`${request.method()} ${pathname}${search}`);
    assert.ok([shop.origin, new URL(shop.at).origin, "null"].includes(origin), request.url());
  });
  context.on("console", (message) => {
    const isAnswer = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isAnswer) complaints.push(message.text());
  });
  context.on("weberror", (error) => complaints.push(String(error.error())));
  const page = await context.newPage();
  await page.goto(`${shop.origin}/?${new URLSearchParams(attributes).toString()}`);
  const coupon = page.locator("stampede-coupon");
  return { page, coupon, button: coupon.getByRole("button"), requests, complaints };
}
