// The real program with AUTH=jwt, and an issuer of tokens for it made of node:crypto alone.
import { generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { startProgram } from "./program.ts";
import type { Program } from "./program.ts";

const ISSUER = "https://shop.example/sign-in";
const AUDIENCE = "stampede";
const LIFE_SECONDS = 600;

export type JwtProgram = {
  /** As ever; its `adminToken` is an operator's token of ten minutes. */
  readonly program: Program;
  readonly keyring: Keyring;
};

export type Keyring = {
  /** A token of this person, by the newest key; `lifeSeconds` may be negative. */
  readonly tokenOf: (person: string, wanted?: { readonly lifeSeconds?: number }) => string;
  readonly operatorToken: () => string;
  /** The same claims, signed by a key that the program does not know. */
  readonly forgedToken: (person: string) => string;
  /** From now on tokens are signed by another key; the file keeps the old one until `retire`. */
  readonly rotate: () => void;
  /** Takes all keys but the newest from the file. */
  readonly retire: () => void;
};

type Key = { readonly kid: string; readonly privateKey: KeyObject; readonly publicKey: KeyObject };

/** With `by: "address"` the program asks a server for the keys; else it reads their file. */
export async function startJwtProgram(
  t: Pick<TestContext, "after">,
  environment: Readonly<Record<string, string>> = {},
  { by = "file" }: { readonly by?: "file" | "address" } = {},
): Promise<JwtProgram> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-jwt-"));
  const path = join(folder, "keys.json");
  const keyring = openKeyring(path);
  const started = await startProgram(t, {
    AUTH: "jwt",
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: AUDIENCE,
    JWT_KEYS: by === "file" ? path : await addressOf(t, path),
    ...environment,
  });
  // After the program's own hook: it reads the file for as long as it runs.
  t.after(() => rmSync(folder, { recursive: true }));
  const program: Program = {
    ...started,
    get pid() {
      return started.pid;
    },
    adminToken: keyring.operatorToken(),
  };
  return { program, keyring };
}

async function addressOf(t: Pick<TestContext, "after">, path: string): Promise<string> {
  const server = createServer((_request, response) => response.end(readFileSync(path)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys.json`;
}

function openKeyring(path: string): Keyring {
  let keys = [newKey(1)];
  const write = (): void => {
    const jwks = keys.map(({ kid, publicKey }) => ({
      ...publicKey.export({ format: "jwk" }),
      kid,
      alg: "ES256",
      use: "sig",
    }));
    // As an operator should: never half a file.
    writeFileSync(`${path}.new`, JSON.stringify({ keys: jwks }));
    renameSync(`${path}.new`, path);
  };
  write();
  const newest = (): Key => keys.at(-1)!;
  return {
    tokenOf: (sub, { lifeSeconds = LIFE_SECONDS } = {}) =>
      signed(newest(), { sub }, Math.min(lifeSeconds, LIFE_SECONDS)),
    operatorToken: () =>
      signed(newest(), { sub: "operator", scope: "stampede:admin" }, LIFE_SECONDS),
    forgedToken: (sub) => signed({ ...newKey(0), kid: newest().kid }, { sub }, LIFE_SECONDS),
    rotate() {
      keys = [...keys, newKey(keys.length + 1)];
      write();
    },
    retire() {
      keys = [newest()];
      write();
    },
  };
}

function newKey(number: number): Key {
  return { kid: `shop-${number}`, ...generateKeyPairSync("ec", { namedCurve: "P-256" }) };
}

function signed(key: Key, claims: Readonly<Record<string, string>>, lifeSeconds: number): string {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const times = { iat: nowSeconds + Math.min(0, lifeSeconds), exp: nowSeconds + lifeSeconds };
  const head = encoded({ alg: "ES256", kid: key.kid, typ: "at+jwt" });
  const text = `${head}.${encoded({ iss: ISSUER, aud: AUDIENCE, ...times, ...claims })}`;
  const options = { key: key.privateKey, dsaEncoding: "ieee-p1363" as const };
  return `${text}.${sign("sha256", Buffer.from(text), options).toString("base64url")}`;
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
