// Keys at an address of the operator's: what is asked, how often, and what counts while it is away. The
// address is a real server on the loopback.
//
// Red when the keys end with a fault of the address (`takeKeys`), when every token with an unknown kid asks
// it (COOL_DOWN_MS), when a redirect is followed, when an answer has no bound, and when a server without
// keys says that it is ready or answers 401.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { until } from "@stampede/domain/contracts";
import { pino } from "pino";
import { jwtIdentity } from "../src/jwt-identity.ts";
import { fetchKeys } from "../src/key-sources.ts";
import type { KeySource } from "../src/key-sources.ts";
import { openIdentity } from "../src/open-identity.ts";
import { openApp } from "./support/app.ts";
import {
  bearer,
  jwkOf,
  keySetText,
  NOW_SECONDS,
  RULES,
  signingKey,
  tokenOf,
} from "./support/tokens.ts";

const old = signingKey("old");
const next = signingKey("next");
const stranger = signingKey("stranger");
const COOL_DOWN_MS = 30_000;

type Address = {
  readonly url: URL;
  /** How often it was asked. */
  asked: number;
  answer: (response: ServerResponse) => void;
};

async function openAddress(t: TestContext): Promise<Address> {
  const server = createServer((_request, response) => {
    address.asked += 1;
    address.answer(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}/keys?tenant=7`);
  const address: Address = { url, asked: 0, answer: giving(keySetText([old])) };
  return address;
}

function giving(text: string): Address["answer"] {
  return (response) => response.end(text);
}

const away: Address["answer"] = (response) => response.destroy();

type Fetching = {
  readonly keys: KeySource;
  readonly clock: { ms: number };
  readonly faults: string[];
};

function fetching(t: TestContext, { url }: Pick<Address, "url">): Fetching {
  const clock = { ms: 0 };
  const faults: string[] = [];
  const keys = fetchKeys({
    url,
    monotonicMs: () => clock.ms,
    onChange: () => undefined,
    onFault: (told) => faults.push(...told),
  });
  t.after(() => keys.close());
  return { keys, clock, faults };
}

function kids({ keys }: Fetching): readonly (string | null)[] {
  return keys.current().map(({ kid }) => kid);
}

test("a key that is not known makes it ask once in half a minute, whoever names it", async (t) => {
  const address = await openAddress(t);
  const opened = fetching(t, address);
  await opened.keys.reread();
  assert.deepEqual([kids(opened), address.asked], [["old"], 1]);
  for (let n = 0; n < 50; n += 1) await opened.keys.seek();
  assert.equal(address.asked, 1, "it was asked a moment ago");
  address.answer = giving(keySetText([old, next]));
  opened.clock.ms += COOL_DOWN_MS;
  await Promise.all(Array.from({ length: 50 }, async () => opened.keys.seek()));
  assert.deepEqual([kids(opened), address.asked], [["old", "next"], 2]);
  // Also while it is away: an attempt counts, whatever becomes of it.
  address.answer = away;
  opened.clock.ms += COOL_DOWN_MS;
  for (let n = 0; n < 50; n += 1) await opened.keys.seek();
  assert.deepEqual([kids(opened), address.asked], [["old", "next"], 3]);
});

test("it is asked every ten minutes by itself, and soon again while it is away", async (t) => {
  const address = await openAddress(t);
  const opened = fetching(t, address);
  await opened.keys.reread();
  address.answer = giving(keySetText([next]));
  opened.clock.ms += 600_000;
  await until(() => kids(opened)[0] === "next", "the removed key is gone");
  address.answer = away;
  opened.clock.ms += 600_000;
  await until(() => opened.faults.length === 1, "it is away");
  address.answer = giving(keySetText([old]));
  opened.clock.ms += 5_000;
  await until(() => kids(opened)[0] === "old", "it is back");
});

const wrong: Readonly<Record<string, readonly [Address["answer"], RegExp]>> = {
  "a cut connection": [away, /^cannot be reached \([A-Z_]+\)$/],
  "a redirect": [
    (response) => response.writeHead(302, { location: "/elsewhere" }).end(),
    /^answers 302 instead of 200, a redirect: name the address that it leads to$/,
  ],
  "an error": [(response) => response.writeHead(500).end("MARK"), /^answers 500 instead of 200$/],
  "a page": [giving("<!doctype html>MARK"), /it is HTML$/],
  "a description": [giving('{"jwks_uri":"MARK"}'), /use its jwks_uri$/],
  certificates: [giving('{"a":"-----BEGIN CERTIFICATE-----MARK"}'), /address of the JWK Set$/],
  "no key": [giving('{"keys":[]}'), /^holds no key that verifies$/],
  "a shared secret": [giving('{"keys":[{"kty":"oct","k":"MARK"}]}'), /key 1: a shared secret/],
  "a private key": [
    giving(JSON.stringify({ keys: [jwkOf(next), { ...jwkOf(old), d: "MARK" }] })),
    /^key 2 is a PRIVATE key: only public keys belong here$/,
  ],
  "more than it may": [
    (response) => {
      const more = (): void => {
        while (!response.destroyed && response.write("MARK".repeat(4_096)));
      };
      response.on("drain", more);
      more();
    },
    /^answers more than 64 KiB$/,
  ],
};
for (const [what, [answer, fault]] of Object.entries(wrong)) {
  test(`the last good keys stay where the address gives ${what}, which is told once`, async (t) => {
    const address = await openAddress(t);
    const opened = fetching(t, address);
    await opened.keys.reread();
    address.answer = answer;
    await opened.keys.reread();
    await opened.keys.reread();
    assert.deepEqual(kids(opened), ["old"]);
    assert.equal(opened.faults.length, 1);
    assert.match(String(opened.faults[0]), fault);
    assert.ok(!opened.faults.join().includes("MARK"));
    assert.equal(address.asked, 3, "no redirect is followed");
  });
}

test("the log names the address, what is wrong with it, and what follows from that", async (t) => {
  const address = await openAddress(t);
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  await using stack = new AsyncDisposableStack();
  const keys = { kind: "address", url: address.url } as const;
  address.answer = (response) => response.writeHead(404).end();
  const away404 = await openIdentity({ kind: "jwt", rules: RULES, keys }, log, stack);
  assert.equal(away404.isReady(), false);
  assert.match(
    lines.splice(0).join(""),
    /"level":50,.*"msg":"JWT_KEYS: http:\/\/127\.0\.0\.1:\d+\/keys answers 404 instead of 200: nobody can be told apart/,
  );
  address.answer = giving(JSON.stringify({ keys: [{ kty: "oct", k: "MARK" }, jwkOf(old)] }));
  const there = await openIdentity({ kind: "jwt", rules: RULES, keys }, log, stack);
  assert.equal(there.isReady(), true);
  assert.match(lines[0]!, /"keys":1,"msg":"JWT_KEYS has answered/);
  assert.match(
    lines[1]!,
    /"level":40,.*"msg":"JWT_KEYS: the server passes by key 1: a shared secret/,
  );
  assert.ok(!lines.join("").includes("MARK"));
});

test("an address that never answers is given up", { timeout: 60_000 }, async (t) => {
  const address = await openAddress(t);
  address.answer = (response) => response.write('{"keys":[');
  const opened = fetching(t, address);
  await opened.keys.reread();
  assert.deepEqual(opened.faults, ["does not answer within 5 s"]);
});

test("nobody is a stranger before the address has answered: 503, and not ready", async (t) => {
  const address = await openAddress(t);
  address.answer = away;
  const { keys, clock } = fetching(t, address);
  const nowMs = (): number => NOW_SECONDS * 1_000;
  const { app } = await openApp(t, { identity: jwtIdentity({ rules: RULES, keys, nowMs }) });
  await keys.reread();
  const ready = async (): Promise<number> => (await app.inject("/readyz")).statusCode;
  const claim = async (signer: typeof old): Promise<number> => {
    const headers = bearer(tokenOf(signer));
    const answer = await app.inject({ method: "POST", url: "/v1/events/none/issues", headers });
    if (answer.statusCode === 503) {
      assert.equal(answer.json<{ type: string }>().type, "/problems/unavailable");
      assert.equal(answer.headers["retry-after"], "5");
    }
    return answer.statusCode;
  };
  assert.deepEqual([await ready(), await claim(old), await claim(stranger)], [503, 503, 503]);
  address.answer = giving(keySetText([old]));
  clock.ms += 5_000;
  await until(async () => (await ready()) === 200, "the keys are there");
  assert.deepEqual([await claim(old), await claim(stranger)], [404, 401]);
  // The issuer has begun to sign with a new key: the first token of it brings the news.
  address.answer = giving(keySetText([old, next]));
  clock.ms += COOL_DOWN_MS;
  assert.deepEqual([await claim(next), await claim(old)], [404, 404]);
  // And while the address is away, everything goes on.
  address.answer = away;
  clock.ms += 3_600_000;
  assert.deepEqual([await claim(next), await claim(stranger), await ready()], [404, 401, 200]);
});
