// Tokens for AUTH=jwt, made by node:crypto alone: the library that is tested signs nothing here, and a
// token can be as wrong as a test wants it.
import { generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { TestContext } from "node:test";
import { jwtIdentity } from "../../src/jwt-identity.ts";
import { parseKeySet } from "../../src/jwt-keys.ts";
import type { Algorithm, VerificationKey } from "../../src/jwt-keys.ts";
import type { JwtRules } from "../../src/jwt-rules.ts";
import type { Admit } from "../../src/request-budget.ts";
import { openApp } from "./app.ts";
import type { TestApp } from "./app.ts";

export const ISSUER = "https://shop.example/sign-in";
export const AUDIENCE = "stampede";
/** What the tests call now; tokens are judged by a clock of their own. */
export const NOW_SECONDS = 1_796_083_200;

/** What the settings say where nobody has changed them. */
export const RULES: JwtRules = {
  issuers: [ISSUER],
  audiences: [AUDIENCE],
  audienceClaim: "aud",
  operatorClaims: ["scope", "scp", "permissions"],
  operatorScope: "stampede:admin",
  required: [],
  ageSecondsMax: 86_400,
};

export type SigningKey = {
  readonly kid: string;
  readonly algorithm: Algorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
};

export type Wanted = {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
};

export function signingKey(kid: string, algorithm: Algorithm = "ES256"): SigningKey {
  const pair = (): { privateKey: KeyObject; publicKey: KeyObject } => {
    const namedCurve = CURVES.get(algorithm);
    if (namedCurve !== undefined) return generateKeyPairSync("ec", { namedCurve });
    if (isEdwards(algorithm)) return generateKeyPairSync("ed25519");
    return generateKeyPairSync("rsa", { modulusLength: 2_048 });
  };
  return { kid, algorithm, ...pair() };
}

const CURVES = new Map<Algorithm, string>([
  ["ES256", "P-256"],
  ["ES384", "P-384"],
  ["ES512", "P-521"],
]);

function isEdwards(algorithm: Algorithm): boolean {
  return algorithm === "EdDSA" || algorithm === "Ed25519";
}

export function jwkOf({
  kid,
  algorithm,
  publicKey,
}: SigningKey): Readonly<Record<string, unknown>> {
  return { ...publicKey.export({ format: "jwk" }), kid, alg: algorithm, use: "sig" };
}

export function keySetText(keys: readonly SigningKey[]): string {
  return JSON.stringify({ keys: keys.map(jwkOf) });
}

/** A right token of the person "ana", changed as wanted; a claim of undefined is left out. */
export function tokenOf(key: SigningKey, { header = {}, claims = {} }: Wanted = {}): string {
  const head = { alg: key.algorithm, kid: key.kid, typ: "JWT", ...header };
  const body = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: "ana",
    iat: NOW_SECONDS - 10,
    exp: NOW_SECONDS + 300,
    ...claims,
  };
  const signed = `${encoded(head)}.${encoded(body)}`;
  return `${signed}.${signatureOf(key, signed)}`;
}

export function signatureOf({ algorithm, privateKey }: SigningKey, signed: string): string {
  const bytes = Buffer.from(signed);
  const bits = algorithm.slice(2);
  const options = {
    key: privateKey,
    dsaEncoding: "ieee-p1363" as const,
    // RSA_PKCS1_PSS_PADDING with a salt as long as the hash.
    ...(algorithm.startsWith("PS") ? { padding: 6, saltLength: Number(bits) / 8 } : {}),
  };
  return sign(isEdwards(algorithm) ? null : `sha${bits}`, bytes, options).toString("base64url");
}

export function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

export function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` };
}

export type JwtApp = TestApp & {
  /** Whose tokens count now; a test may change it as a rotation does. */
  readonly trust: (keys: readonly SigningKey[]) => void;
  readonly tokenClock: { nowMs: number };
};

/** The whole HTTP edge with AUTH=jwt. */
export async function openJwtApp(
  t: TestContext,
  keys: readonly SigningKey[],
  options: {
    readonly logLevel?: string;
    readonly admit?: Admit;
    readonly rules?: Partial<JwtRules>;
    readonly onRefused?: (why: string) => void;
  } = {},
): Promise<JwtApp> {
  let current = keysOf(keys);
  const tokenClock = { nowMs: NOW_SECONDS * 1_000 };
  const identity = jwtIdentity({
    rules: { ...RULES, ...options.rules },
    keys: { current: () => current, seek: async () => undefined },
    nowMs: () => tokenClock.nowMs,
    ...(options.onRefused === undefined ? {} : { onRefused: options.onRefused }),
  });
  const opened = await openApp(t, { ...options, identity });
  const trust = (trusted: readonly SigningKey[]): void => {
    current = keysOf(trusted);
  };
  return { ...opened, trust, tokenClock };
}

function keysOf(keys: readonly SigningKey[]): readonly VerificationKey[] {
  const reading = parseKeySet(keySetText(keys));
  if (!reading.ok) throw new Error(reading.faults.join("; "));
  return reading.keySet.keys;
}
