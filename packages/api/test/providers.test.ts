// Tokens and keys as well-known sign-ins write them, with the settings that docs/sign-in.md gives for each.
// The shapes are theirs (their public documentation), names and keys are made up.
//
// Red when a settings block of docs/sign-in.md names a setting that is not read, or stops taking the tokens.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { readConfig } from "../src/config.ts";
import { jwtIdentity } from "../src/jwt-identity.ts";
import { openApp } from "./support/app.ts";
import { bearer, jwkOf, NOW_SECONDS, signingKey, tokenOf } from "./support/tokens.ts";
import type { SigningKey } from "./support/tokens.ts";

type Claims = Readonly<Record<string, unknown>>;
type Provider = {
  /** The heading of its settings in docs/sign-in.md. */
  readonly heading: string;
  /** Of its tokens' header, beside alg and kid. */
  readonly header: Claims;
  /** Its key as it publishes it. */
  readonly publish: (key: SigningKey) => Claims;
  /** What else its set holds. */
  readonly beside?: readonly Claims[];
  readonly person: Claims;
  readonly operator: Claims;
  /** Tokens of the same issuer that must not count here. */
  readonly others: readonly Claims[];
};

const times = { iat: NOW_SECONDS - 10, exp: NOW_SECONDS + 3_600 };
const tenant = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const application = "6e74172b-be56-4843-9ff4-e66a39bb12e3";
const withoutAlg = (key: SigningKey): Claims => ({ ...jwkOf(key), alg: undefined, x5t: "TUFSSw" });

const auth0 = {
  iss: "https://shop.eu.auth0.com/",
  aud: ["https://stampede.shop.example", "https://shop.eu.auth0.com/userinfo"],
  azp: "my1Client2Id3",
  ...times,
};
const keycloak = {
  iss: "https://sign-in.shop.example/realms/shop",
  aud: ["stampede", "account"],
  typ: "Bearer",
  azp: "shop-web",
  sid: "dd2d5b1c-2d2e-4d0d-9a7c-1b9d3a0f4c11",
  scope: "openid profile email",
  realm_access: { roles: ["offline_access", "default-roles-shop"] },
  ...times,
};
const cognito = {
  iss: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
  client_id: "1example23456789",
  token_use: "access",
  scope: "openid",
  username: "ana",
  ...times,
};
const entraV2 = {
  iss: `https://login.microsoftonline.com/${tenant}/v2.0`,
  aud: application,
  ver: "2.0",
  scp: "Claim.Coupons",
  ...times,
  nbf: times.iat,
};
const firebase = {
  iss: "https://securetoken.google.com/shop-1234",
  aud: "shop-1234",
  auth_time: times.iat,
  firebase: { sign_in_provider: "google.com", identities: {} },
  ...times,
};

const providers: readonly Provider[] = [
  {
    heading: "Auth0",
    header: { typ: "at+jwt" },
    publish: (key) => ({ ...jwkOf(key), x5c: ["TUFSSw=="], x5t: "TUFSSw" }),
    person: { ...auth0, sub: "auth0|5f7c8ec7c33c6c004bbafe82", scope: "openid", permissions: [] },
    operator: { ...auth0, sub: "google-oauth2|1", permissions: ["stampede:admin"] },
    others: [{ ...auth0, aud: "https://other.shop.example", sub: "auth0|x" }],
  },
  {
    heading: "Keycloak",
    header: { typ: "JWT" },
    publish: jwkOf,
    beside: [{ kty: "RSA", use: "enc", alg: "RSA-OAEP", kid: "e", n: "TUFSSw", e: "AQAB" }],
    person: { ...keycloak, sub: "f:9d6c0f5e-8d4e-4b56:ana" },
    operator: {
      ...keycloak,
      sub: "0a1b2c3d-0000-4000-8000-000000000000",
      realm_access: { roles: ["offline_access", "stampede-operator"] },
    },
    others: [{ ...keycloak, aud: "account", sub: "x" }],
  },
  {
    heading: "Amazon Cognito",
    header: { typ: undefined },
    publish: jwkOf,
    person: { ...cognito, aud: undefined, sub: "aaaaaaaa-bbbb-cccc-dddd-example" },
    operator: { ...cognito, aud: undefined, sub: "x", "cognito:groups": ["stampede-operators"] },
    others: [
      { ...cognito, aud: undefined, client_id: "another-client", sub: "x" },
      // An ID token has the client as its aud, and no client_id.
      { ...cognito, aud: cognito.client_id, client_id: undefined, token_use: "id", sub: "x" },
    ],
  },
  {
    heading: "Microsoft Entra ID",
    header: { typ: "JWT", x5t: "TUFSSw" },
    publish: withoutAlg,
    person: { ...entraV2, sub: "AAAAAAAAAAAAAAAAAAAAAB8zX7d2" },
    operator: { ...entraV2, sub: "op", roles: ["Stampede.Operator"] },
    others: [
      { ...entraV2, aud: "00000003-0000-0000-c000-000000000000", sub: "x" },
      { ...entraV2, iss: "https://login.microsoftonline.com/other/v2.0", sub: "x" },
    ],
  },
  {
    heading: "Firebase and Google Identity Platform",
    header: { typ: "JWT" },
    publish: jwkOf,
    person: { ...firebase, sub: "x".repeat(128) },
    operator: { ...firebase, sub: "op", stampede: ["admin"] },
    others: [{ ...firebase, aud: "another-project", sub: "x" }],
  },
];

for (const provider of providers) {
  describe(provider.heading, () => {
    const key = signingKey("k1", "RS256");

    test("its persons claim, its operators operate, and other tokens of it do not count", async (t) => {
      const { app } = await openWith(t, provider, key);
      const ask = async (claims: Claims, url: string, method: "GET" | "POST"): Promise<number> => {
        const token = tokenOf(key, { header: provider.header, claims });
        return (await app.inject({ method, url, headers: bearer(token) })).statusCode;
      };
      const [claim, list] = ["/v1/events/none/issues", "/events/none/issues"] as const;
      assert.equal(await ask(provider.person, claim, "POST"), 404);
      assert.equal(await ask(provider.person, list, "GET"), 403);
      assert.equal(await ask(provider.operator, list, "GET"), 404);
      for (const other of provider.others) {
        assert.equal(await ask(other, claim, "POST"), 401, JSON.stringify(other));
      }
    });
  });
}

test("Entra's tokens of version 1 count where both issuers and audiences are named", async (t) => {
  const entra = providers.find(({ heading }) => heading === "Microsoft Entra ID")!;
  const key = signingKey("k1", "RS256");
  const { app } = await openWith(t, entra, key);
  const iss = `https://sts.windows.net/${tenant}/`;
  const claims = { ...entra.person, iss, aud: `api://${application}`, ver: "1.0" };
  const headers = bearer(tokenOf(key, { header: entra.header, claims }));
  const answer = await app.inject({ method: "POST", url: "/v1/events/none/issues", headers });
  assert.equal(answer.statusCode, 404);
});

async function openWith(
  t: TestContext,
  provider: Provider,
  key: SigningKey,
): Promise<Awaited<ReturnType<typeof openApp>>> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-provider-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "keys.json");
  const keys = [...(provider.beside ?? []), provider.publish(key), jwkOf(signingKey("k2"))];
  writeFileSync(path, JSON.stringify({ keys }));
  const settings = settingsOf(provider.heading);
  const isAddress = settings["JWT_KEYS"]?.startsWith("https://");
  assert.ok(isAddress, "the page names the address of the keys");
  const shared = { DATABASE_URL: "postgres://127.0.0.1/stampede" };
  assert.ok(readConfig({ ...shared, ...settings }).ok);
  const reading = readConfig({ ...shared, ...settings, JWT_KEYS: path });
  assert.ok(reading.ok, JSON.stringify(reading));
  const { auth } = reading.config;
  assert.ok(auth.kind === "jwt" && auth.keys.kind === "file");
  const { keySet } = auth.keys;
  const source = { current: () => keySet.keys, seek: async () => undefined };
  const nowMs = (): number => NOW_SECONDS * 1_000;
  return openApp(t, { identity: jwtIdentity({ rules: auth.rules, keys: source, nowMs }) });
}

/** The settings below a heading of the page, as somebody copies them into .env. */
function settingsOf(heading: string): Readonly<Record<string, string>> {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/sign-in.md"), "utf8");
  const section = page.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const block = /```\n(?<block>[^`]*)```/.exec(section)?.groups?.["block"] ?? "";
  const lines = block.trim().split("\n");
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}
