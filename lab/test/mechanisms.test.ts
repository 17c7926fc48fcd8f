// The lab takes its mechanisms from the server: what it makes of what a server tells.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { describe, test, type TestContext } from "node:test";

import {
  availableMechanisms,
  chosenMechanisms,
  readMechanisms,
  type Mechanism,
} from "@stampede/lab/compare";

function mechanism(version: string, more: Partial<Mechanism> = {}): Mechanism {
  const words = { title: "Tea leaves", summary: "asks the leaves" };
  return { name: `tea-${version}`, version, ...words, needs: [], available: true, ...more };
}

/** A server that answers these paths, and 404 with a problem elsewhere. */
async function telling(
  t: TestContext,
  answers: Readonly<Record<string, unknown>>,
): Promise<string> {
  const server = createServer(({ url = "" }, response) => {
    response.statusCode = url in answers ? 200 : 404;
    response.end(JSON.stringify(answers[url] ?? { type: "/problems/not-found" }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

const up = { engines: { postgres: "up", redis: "off", kafka: "down" } };

describe("the mechanisms of a server", () => {
  test("are what it tells, in order of version, also ones that nobody has heard of", async (t) => {
    const told = [mechanism("v10"), mechanism("v9")];
    const url = await telling(t, { "/mechanisms": { mechanisms: told }, "/readyz": up });
    const found = await readMechanisms(url);
    assert.deepEqual(
      found.map(({ name }) => name),
      ["tea-v9", "tea-v10"],
    );
  });

  test("are an error where it tells something else", async (t) => {
    const url = await telling(t, { "/mechanisms": { mechanisms: ["v1"] }, "/readyz": up });
    await assert.rejects(readMechanisms(url), /does not tell its mechanisms/);
  });
});

describe("mechanisms that are named", () => {
  const all = [mechanism("v1"), mechanism("v2")];

  test("are found by name or version, and all are meant where none is named", () => {
    assert.deepEqual(chosenMechanisms(all, ["v2", "tea-v1", "v2"]), [all[1], all[0]]);
    assert.deepEqual(chosenMechanisms(all, null), all);
  });

  test("are an error where there is none, which lists those there are", () => {
    const list = /has no mechanism v7, x: it has v1 \(tea-v1\), v2 \(tea-v2\)\./;
    assert.throws(() => chosenMechanisms(all, ["v7", "v1", "x"]), list);
  });
});

describe("a mechanism that takes no claims now", () => {
  const off = mechanism("v2", { needs: ["postgres", "redis"], available: false });
  const down = mechanism("v3", { needs: ["kafka"], available: false });
  const here = mechanism("v1");

  test("is left out where its engine is off and nobody named it", async (t) => {
    const url = await telling(t, { "/readyz": up });
    const wanted = { mechanisms: [here, off], named: false };
    assert.deepEqual(await availableMechanisms(url, wanted), [here]);
  });

  test("is an error where it was named, and where its engine is down", async (t) => {
    const url = await telling(t, { "/readyz": up });
    const named = { mechanisms: [here, off], named: true };
    await assert.rejects(availableMechanisms(url, named), /tea-v2 \(v2\) .* redis is off/);
    const any = { mechanisms: [here, down], named: false };
    await assert.rejects(availableMechanisms(url, any), /tea-v3 \(v3\) .* kafka is down/);
  });
});
