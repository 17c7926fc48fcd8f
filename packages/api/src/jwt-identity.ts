// AUTH=jwt: who is calling, by a signed token (RFC 7519 in RFC 7515's compact form).
//
// What is pinned, and by whom: the keys and their algorithms by the operator's key set (jwt-keys.ts);
// issuer, audience and the claim that makes an operator by the environment (jwt-rules.ts); type and
// tolerance here. A token chooses nothing but which of those keys it was signed with. Nothing in it is
// ever fetched, opened or looked up.
//
// In order of cost: length and form, header, key; only then the signature, on a thread of its own; then
// the claims. Verified tokens are not kept: each use is judged anew, so an expired token or one of a
// removed key is refused at once.
//
// Time is this machine's own clock, as for everybody who reads the issuer's times: a wrong one refuses
// fresh tokens (docs/decisions/2026-11-28-jwt.md).
import type { KeyObject } from "node:crypto";
import { ok, parseUserId, refuse } from "@stampede/domain";
import type { Result, UserId } from "@stampede/domain";
import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import type { JWTPayload, ProtectedHeaderParameters } from "jose";
import { headerLines } from "./identity.ts";
import type { Caller, Identity } from "./identity.ts";
import { ALGORITHMS, keysFor } from "./jwt-keys.ts";
import { audienceFault, CLOCK_TOLERANCE_SECONDS, holdsRight, timeFault } from "./jwt-rules.ts";
import type { JwtRules } from "./jwt-rules.ts";
import type { KeySource } from "./key-sources.ts";
import type { EdgeRefusal } from "./problems.ts";
import type { TellRefusal } from "./told-refusals.ts";

export type JwtPins = {
  readonly rules: JwtRules;
  readonly keys: Pick<KeySource, "current" | "seek">;
  /** Epoch milliseconds by this machine's clock. */
  readonly nowMs: () => number;
  /** Hears of each wrong token, in words that hold nothing of it. */
  readonly onRefused?: TellRefusal;
};

const TOKEN_CHARACTERS_MAX = 8_192;
/** An access token (RFC 9068), or what libraries write without being asked. */
const TYPES = new Set(["jwt", "at+jwt", "application/jwt", "application/at+jwt"]);
/** A key, or a way to one, that the token itself brings along. */
const BROUGHT_KEYS = ["jku", "jwk", "x5u", "x5c"];
const RETRY_AFTER_MS = 5_000;

const NO_TOKEN = "no token";
const CHALLENGE = 'Bearer realm="stampede"';
const COMPACT_FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

type Verified = { readonly userId: UserId; readonly isOperator: boolean };
type Verdict = Result<Verified, EdgeRefusal>;

export function jwtIdentity(pins: JwtPins): Identity {
  const { operatorClaims, operatorScope } = pins.rules;
  return {
    kind: "jwt",
    isReady: () => pins.keys.current().length > 0,
    schemes: {
      person: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
      operator: {
        type: "http",
        scheme: "bearer",
        bearerFormat: "JWT",
        description: `One of the token's claims ${operatorClaims.join(", ")} holds ${operatorScope}.`,
      },
    },
    async person(caller) {
      const verified = await verify(caller, pins);
      return verified.ok ? ok(verified.value.userId) : verified;
    },
    async operator(caller) {
      const verified = await verify(caller, pins);
      if (!verified.ok) return verified;
      return verified.value.isOperator ? ok("operator") : refuse({ kind: "forbidden" });
    },
  };
}

async function verify(caller: Caller, pins: JwtPins): Promise<Verdict> {
  const verdict = await judge(caller, pins);
  if (!verdict.ok && "why" in verdict.refusal && verdict.refusal.why !== NO_TOKEN) {
    pins.onRefused?.(verdict.refusal.why);
  }
  return verdict;
}

async function judge(caller: Caller, pins: JwtPins): Promise<Verdict> {
  const { authorization } = caller.headers;
  if (authorization === undefined) {
    return refuse({ kind: "unauthenticated", scheme: CHALLENGE, why: NO_TOKEN });
  }
  const token = tokenIn(authorization);
  // Node keeps the first of several and drops the others: which of them counts must not depend on that.
  if (token === null || headerLines(caller, "authorization") > 1)
    return invalidToken("the request needs exactly one bearer token");
  try {
    const header = decodeProtectedHeader(token);
    judgeHeader(header, pins.rules);
    const keys = await keysNow(header, pins);
    if (keys === null) return keysUnknown();
    return verifiedOf(await claimsOf(token, keys, pins), pins);
  } catch (error) {
    // Whatever it is, it is no proof of who is calling.
    return invalidToken(reasonOf(error));
  }
}

function tokenIn(authorization: string): string | null {
  const scheme = "Bearer ";
  if (authorization.length > scheme.length + TOKEN_CHARACTERS_MAX) return null;
  if (authorization.slice(0, scheme.length).toLowerCase() !== scheme.toLowerCase()) return null;
  const token = authorization.slice(scheme.length);
  return COMPACT_FORM.test(token) ? token : null;
}

/** Throws where the token must not be verified at all. */
function judgeHeader(header: ProtectedHeaderParameters, { required }: JwtRules): void {
  const { typ, kid } = header;
  if (BROUGHT_KEYS.some((member) => member in header)) throw new Unverifiable("it brings a key");
  if (typ !== undefined && !(typeof typ === "string" && TYPES.has(typ.toLowerCase()))) {
    throw new Unverifiable("its typ is another type's than an access token's");
  }
  if (kid !== undefined && typeof kid !== "string") throw new Unverifiable("its kid is no text");
  const missing = ["typ", "kid"].find((name) => required.includes(name) && !(name in header));
  if (missing !== undefined)
    throw new Unverifiable(`it has no ${missing}, which JWT_REQUIRE wants`);
}

/** The operator's keys that it may have been signed with; null where none are known yet. */
async function keysNow(
  { kid, alg }: ProtectedHeaderParameters,
  { keys }: JwtPins,
): Promise<readonly KeyObject[] | null> {
  let found = keysFor(keys.current(), { kid, alg });
  if (!found.named && (kid !== undefined || keys.current().length === 0)) {
    // The issuer may have begun to sign with a key that we have not seen.
    await keys.seek();
    if (keys.current().length === 0) return null;
    found = keysFor(keys.current(), { kid, alg });
  }
  if (!found.named) {
    const several = "it names no key by a kid, and there are several";
    throw new Unverifiable(kid === undefined ? several : "no key has its kid");
  }
  if (found.fitting.length === 0) throw new Unverifiable("its key has another algorithm");
  return found.fitting;
}

/** Tries keys of one name in turn: a set may give it to several. */
async function claimsOf(
  token: string,
  keys: readonly KeyObject[],
  { rules, nowMs }: JwtPins,
): Promise<JWTPayload> {
  const options = {
    algorithms: [...ALGORITHMS],
    issuer: [...rules.issuers],
    requiredClaims: [
      "exp",
      "sub",
      ...rules.required.filter((name) => !["typ", "kid"].includes(name)),
    ],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    currentDate: new Date(nowMs()),
  };
  for (const [index, key] of keys.entries()) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      const isWrongKey = error instanceof errors.JWSSignatureVerificationFailed;
      if (!isWrongKey || index + 1 === keys.length) throw error;
    }
  }
  throw new Unverifiable("no key has its kid");
}

function verifiedOf(claims: JWTPayload, { rules, nowMs }: JwtPins): Verdict {
  const fault = audienceFault(claims, rules) ?? timeFault(claims, rules, nowMs());
  if (fault !== null) return invalidToken(fault);
  const userId = typeof claims.sub === "string" ? parseUserId(claims.sub) : null;
  if (userId === null) return invalidToken("its sub is not 1 to 255 visible ASCII characters");
  return ok({ userId, isOperator: holdsRight(claims, rules) });
}

class Unverifiable extends Error {
  override readonly name = "Unverifiable";
}

/** For the log: words of ours and the library's stable codes, never the token's own. */
function reasonOf(error: unknown): string {
  if (error instanceof Unverifiable) return error.message;
  if (error instanceof errors.JWTExpired) return "it has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error;
    if (reason === "missing") return `it has no ${claim}`;
    if (claim === "iss") return "its iss is another one than JWT_ISSUER";
    return claim === "nbf" ? "it is not valid yet (nbf)" : `its ${claim} has no valid form`;
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return "its signature is wrong";
  return error instanceof errors.JOSEError ? error.code : "it cannot be verified";
}

/** To the caller one answer for every wrong token, whatever is wrong with it. */
function invalidToken(why: string): { readonly ok: false; readonly refusal: EdgeRefusal } {
  const scheme = `${CHALLENGE}, error="invalid_token"`;
  return refuse({ kind: "unauthenticated", scheme, why });
}

/** The token may be a right one, so it is no 401, after which people would sign in again for nothing. */
function keysUnknown(): { readonly ok: false; readonly refusal: EdgeRefusal } {
  const detail = "The keys of the sign-in are not known yet. Nothing has changed; try again.";
  return refuse({ kind: "unavailable", detail, retryAfterMs: RETRY_AFTER_MS });
}
