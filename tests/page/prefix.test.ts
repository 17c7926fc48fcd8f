// The pages behind a proxy that has given them a folder, https://shop.example/coupons/. Red when a page
// names a file or the service by a path that begins with a slash.
import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { missing } from "@stampede/launcher/testing";
import { reasonToSkip, startBrowser } from "@stampede/proof/support/browser.ts";
import { startProgram } from "@stampede/proof/support/program.ts";
import { cardIn, codeIn, crowd, openEvent } from "@stampede/proof/support/shopper.ts";

const skip = reasonToSkip() ?? missing("postgres", "redis", "kafka");
const PREFIX = "/coupons";

test("the pages work behind a prefix", { skip }, async (t) => {
  const program = await startProgram(t);
  const proxy = await startProxy(t, program.url);
  const browser = await startBrowser(t);
  const mechanism = "kafka-queue";
  const event = await openEvent(program, { name: "Far", mechanism, limit: 100, pace: 8 });
  await crowd(program, { event, people: 20 });
  const page = await browser.newPage({ locale: "en-US" });
  await page.goto(`${proxy.origin}${PREFIX}/`);
  const card = cardIn(page, event);
  const stream = page.waitForRequest(/\/stream$/);
  await card.getByRole("button", { name: "Get a coupon" }).click();
  await stream;
  await codeIn(card);
  await page.getByRole("link", { name: "Live desk" }).click();
  await page.locator("#answers canvas").waitFor();
  await page.getByRole("link", { name: "Stampede" }).click();
  await codeIn(card);
  await page.getByRole("link", { name: "The HTTP contract" }).click();
  assert.equal(new URL(page.url()).pathname, `${PREFIX}/openapi.json`);
  await page.goto(`${proxy.origin}${PREFIX}/embed-example.html?event=${event.id}&user=ana`);
  await page.getByRole("button", { name: "Get a coupon" }).click();
  await page.getByText("The shop's cart has the code").waitFor();
  assert.deepEqual(proxy.others, [], "nothing is asked beside the prefix");
});

type Proxy = { readonly origin: string; readonly others: readonly string[] };

async function startProxy(t: Pick<TestContext, "after">, url: string): Promise<Proxy> {
  const others: string[] = [];
  const server = createServer((asked, answer) => {
    const path = asked.url ?? "";
    if (!path.startsWith(`${PREFIX}/`)) {
      if (path !== "/favicon.ico") others.push(path);
      answer.writeHead(404).end();
      return;
    }
    const { method = "GET", headers } = asked;
    const passed = request(`${url}${path.slice(PREFIX.length)}`, { method, headers }, (told) => {
      answer.writeHead(told.statusCode ?? 502, told.headers);
      told.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    answer.on("close", () => passed.destroy());
    asked.pipe(passed);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, others };
}
