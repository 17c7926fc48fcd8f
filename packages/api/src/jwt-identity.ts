// AUTH=jwt: who is calling, by a signed token (RFC 7519 in RFC 7515's compact form).
//
// What is pinned, and by whom: the key by `kid` and its algorithm by the operator's file (jwt-keys.ts);
// issuer and audience by the environment; type, claims, age and tolerance here. A token chooses nothing
// but which of those keys it was signed with. Nothing in it is ever fetched, opened or looked up.
//
// In order of cost: length and form, header, key; only then the signature, on a thread of its own; then
// the claims. Verified tokens are not kept: each use is judged anew, so an expired token or one of a
// removed key is refused at once.
//
// Time is this machine's own clock, as for everybody who reads the issuer's times: a wrong one refuses
// fresh tokens (docs/decisions/2026-11-28-jwt.md).
import type { IncomingMessage } from "node:http";
import { ok, parseUserId, refuse } from "@stampede/domain";
import type { Result, UserId } from "@stampede/domain";
import { errors, jwtVerify } from "jose";
import type { JWTHeaderParameters, JWTPayload } from "jose";
import type { Caller, Identity } from "./identity.ts";
import { ALGORITHMS } from "./jwt-keys.ts";
import type { VerificationKey } from "./jwt-keys.ts";
import type { EdgeRefusal } from "./problems.ts";

export type JwtPins = {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: () => ReadonlyMap<string, VerificationKey>;
  /** Epoch milliseconds by this machine's clock. */
  readonly nowMs: () => number;
};

const TOKEN_CHARACTERS_MAX = 8_192;
const CLOCK_TOLERANCE_SECONDS = 5;
const TOKEN_AGE_SECONDS_MAX = 24 * 60 * 60;
/** An access token (RFC 9068), or what libraries write without being asked. */
const TYPES = new Set(["jwt", "at+jwt", "application/jwt", "application/at+jwt"]);
/** A key, or a way to one, that the token itself brings along. */
const BROUGHT_KEYS = ["jku", "jwk", "x5u", "x5c"];
const OPERATOR_SCOPE = "stampede:admin";

const CHALLENGE = 'Bearer realm="stampede"';
const COMPACT_FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

type Verified = { readonly userId: UserId; readonly isOperator: boolean };

export function jwtIdentity(pins: JwtPins): Identity {
  return {
    kind: "jwt",
    schemes: {
      person: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
      operator: {
        type: "http",
        scheme: "bearer",
        bearerFormat: "JWT",
        description: `The token's scope holds ${OPERATOR_SCOPE}.`,
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

async function verify(caller: Caller, pins: JwtPins): Promise<Result<Verified, EdgeRefusal>> {
  const { authorization } = caller.headers;
  if (authorization === undefined) {
    return refuse({ kind: "unauthenticated", scheme: CHALLENGE, why: "no token" });
  }
  const token = tokenIn(authorization);
  // Node keeps the first of several and drops the others: which of them counts must not depend on that.
  if (token === null || authorizationLines(caller) > 1)
    return invalidToken("the request needs exactly one bearer token");
  try {
    const { payload } = await jwtVerify(token, (header) => keyFor(header, pins), {
      algorithms: [...ALGORITHMS],
      issuer: pins.issuer,
      audience: pins.audience,
      requiredClaims: ["exp", "sub"],
      maxTokenAge: TOKEN_AGE_SECONDS_MAX,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(pins.nowMs()),
    });
    return verifiedOf(payload);
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

function authorizationLines({ rawHeaders }: Pick<IncomingMessage, "rawHeaders">): number {
  let count = 0;
  for (let name = 0; name < rawHeaders.length; name += 2) {
    if (rawHeaders[name]?.toLowerCase() === "authorization") count += 1;
  }
  return count;
}

/** The key of the operator's file that the token names; throws where it must not be verified at all. */
function keyFor(header: JWTHeaderParameters, { keys }: JwtPins): VerificationKey["key"] {
  const { alg, kid, typ } = header;
  if (BROUGHT_KEYS.some((member) => member in header)) throw new Unverifiable("it brings a key");
  if (typeof typ !== "string" || !TYPES.has(typ.toLowerCase())) {
    throw new Unverifiable("another type");
  }
  const found = typeof kid === "string" ? keys().get(kid) : undefined;
  if (found === undefined) throw new Unverifiable("no key has its kid");
  if (alg !== found.algorithm) throw new Unverifiable("its key has another algorithm");
  return found.key;
}

function verifiedOf({ sub, scope }: JWTPayload): Result<Verified, EdgeRefusal> {
  const userId = typeof sub === "string" ? parseUserId(sub) : null;
  if (userId === null) return invalidToken("sub is not a user id");
  const isOperator = typeof scope === "string" && scope.split(" ").includes(OPERATOR_SCOPE);
  return ok({ userId, isOperator });
}

class Unverifiable extends Error {
  override readonly name = "Unverifiable";
}

/** For the log: words of ours and the library's stable codes, never the token's own. */
function reasonOf(error: unknown): string {
  if (error instanceof Unverifiable) return error.message;
  if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired) {
    return `${error.code}: ${error.claim}`;
  }
  return error instanceof errors.JOSEError ? error.code : "it cannot be verified";
}

/** To the caller one answer for every wrong token, whatever is wrong with it. */
function invalidToken(why: string): { readonly ok: false; readonly refusal: EdgeRefusal } {
  const scheme = `${CHALLENGE}, error="invalid_token"`;
  return refuse({ kind: "unauthenticated", scheme, why });
}
