// Where the server listens. Red when what goes wrong at a host's other address is ignored: whoever asks
// there would reach another program.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { addressesOf, listen } from "../src/listening.ts";
import { openApp } from "./support/app.ts";

test("a port that is taken at one address of the host is told with that address", async (t) => {
  const taken = createServer().listen(0, "127.0.0.2");
  t.after(() => taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const { app } = await openApp(t);
  await assert.rejects(
    listen(app, { host: "localhost", port, shared: false }, ["127.0.0.1", "127.0.0.2"]),
    new RegExp(`port ${port} of 127\\.0\\.0\\.2 is in use: end what listens there`),
  );
});

test("all addresses of a host have one port, and one name where there are several", async (t) => {
  const { app } = await openApp(t);
  const where = { host: "localhost", port: 0, shared: false };
  const told = await listen(app, where, ["127.0.0.1", "127.0.0.2"]);
  const { port } = app.server.address() as AddressInfo;
  assert.equal(told, `http://localhost:${port}`);
  const answer = await fetch(`http://127.0.0.2:${port}/healthz`);
  assert.deepEqual(await answer.json(), { status: "ok" });
});

test("localhost is each of its addresses that this machine has, and any other host is itself", async () => {
  const local = await addressesOf("localhost");
  assert.ok(local.length > 0 && local.every((address) => ["127.0.0.1", "::1"].includes(address)));
  for (const host of ["0.0.0.0", "::", "shop.example"]) {
    assert.deepEqual(await addressesOf(host), [host]);
  }
});
