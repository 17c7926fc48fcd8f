// AUTH=jwt by the environment: whose tokens count, for whom, and by which keys.
import { readFileSync } from "node:fs";
import { parseKeySet } from "./jwt-keys.ts";
import type { KeySet, KeySetReading } from "./jwt-keys.ts";
import type { JwtRules } from "./jwt-rules.ts";
import { unreadable } from "./key-sources.ts";

export type JwtAuth = {
  readonly kind: "jwt";
  readonly rules: JwtRules;
  readonly keys: JwtKeys;
};

export type JwtKeys =
  /** The file that is read again whenever it changes, and what it says at the start. */
  | { readonly kind: "file"; readonly path: string; readonly keySet: KeySet }
  /** The address that is asked at the start and again and again. */
  | { readonly kind: "address"; readonly url: URL };

export type SettingsReader = {
  readonly read: (name: string) => string | null;
  readonly whole: (
    name: string,
    bounds: { readonly usual: number; readonly min: number; readonly max: number },
  ) => number;
  readonly faults: string[];
};

const MAY_BE_REQUIRED = ["typ", "kid", "iat", "nbf", "jti"];
const AGE_HOURS = { usual: 24, min: 1, max: 8_760 };

/**
 * ADMIN_TOKEN is not read: no secret of that kind counts beside tokens that say who their bearer is.
 * Null where there is a fault.
 */
export function readJwt({ read, whole, faults }: SettingsReader): JwtAuth | null {
  const faultsBefore = faults.length;
  const issuers = splitWords(read("JWT_ISSUER"));
  if (issuers.length === 0) faults.push("JWT_ISSUER is not set: the exact iss of the tokens");
  const audiences = splitWords(read("JWT_AUDIENCE"));
  const audienceClaim = read("JWT_AUDIENCE_CLAIM") ?? "aud";
  if (audiences.length === 0) {
    faults.push(`JWT_AUDIENCE is not set: what the tokens' ${audienceClaim} must hold`);
  }
  const operatorClaims = splitWords(read("JWT_OPERATOR_CLAIM") ?? "scope scp permissions");
  const operatorScope = read("JWT_OPERATOR_SCOPE") ?? "stampede:admin";
  if (/\s/.test(operatorScope)) faults.push("JWT_OPERATOR_SCOPE must be one word, without spaces");
  const required = splitWords(read("JWT_REQUIRE"));
  if (!required.every((name) => MAY_BE_REQUIRED.includes(name))) {
    faults.push(
      `JWT_REQUIRE must be any of ${MAY_BE_REQUIRED.join(", ")}, with spaces between them`,
    );
  }
  const ageSecondsMax = whole("JWT_MAX_AGE_HOURS", AGE_HOURS) * 3_600;
  const keys = readKeys(read("JWT_KEYS"), faults);
  if (keys === null || faults.length > faultsBefore) return null;
  const operator = { operatorClaims, operatorScope };
  const rules = { issuers, audiences, audienceClaim, ...operator, required, ageSecondsMax };
  return { kind: "jwt", rules, keys };
}

/** An address without what may follow it: some providers put a name of the application there. */
export function nameOf(keys: JwtKeys): string {
  return keys.kind === "file" ? keys.path : `${keys.url.origin}${keys.url.pathname}`;
}

function splitWords(text: string | null): readonly string[] {
  return text?.split(/\s+/) ?? [];
}

function readKeys(named: string | null, faults: string[]): JwtKeys | null {
  if (named === null) {
    const what = "the path or the address of a JWK Set with the issuer's public keys";
    faults.push(`JWT_KEYS is not set: ${what}`);
    return null;
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(named)) return keysAddress(named, faults);
  const reading = readFile(named);
  if (reading.ok) return { kind: "file", path: named, keySet: reading.keySet };
  faults.push(...reading.faults.map((fault) => `JWT_KEYS: ${named}: ${fault}`));
  return null;
}

function keysAddress(text: string, faults: string[]): JwtKeys | null {
  const url = URL.parse(text);
  const fault =
    url === null
      ? "is no address"
      : url.username !== "" || url.password !== ""
        ? "must not hold a user name or a password"
        : url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))
          ? null
          : "must begin with https:// (http:// only for 127.0.0.1, ::1 or localhost)";
  if (url !== null && fault === null) return { kind: "address", url };
  // Not repeated: a password may stand in it.
  faults.push(`JWT_KEYS: the address ${fault}`);
  return null;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

function readFile(path: string): KeySetReading {
  try {
    return parseKeySet(readFileSync(path, "utf8"));
  } catch (error) {
    return { ok: false, faults: [unreadable(error)] };
  }
}
