// What a token has to say, by the operator's settings; who signed it is settled before.
import type { JWTPayload } from "jose";

export type JwtRules = {
  /** Each compared exactly; several only where they are one sign-in, with one sub for one person. */
  readonly issuers: readonly string[];
  /** One of them is enough. */
  readonly audiences: readonly string[];
  /** The claim that names whom the token is for: aud, or client_id where a provider writes no aud. */
  readonly audienceClaim: string;
  /** The claims in which an operator's right may stand, and the right. */
  readonly operatorClaims: readonly string[];
  readonly operatorScope: string;
  /** What a token must have beside exp, iss, sub and its audience. */
  readonly required: readonly string[];
  readonly ageSecondsMax: number;
};

export const CLOCK_TOLERANCE_SECONDS = 5;

/** A reason for the log, which holds nothing of the token; null where the token is for us. */
export function audienceFault(claims: JWTPayload, rules: JwtRules): string | null {
  const { audienceClaim, audiences } = rules;
  const named = Object.hasOwn(claims, audienceClaim) ? claims[audienceClaim] : undefined;
  if (named === undefined) return `it has no ${audienceClaim}`;
  const isOurs = [named].flat().some((one) => audiences.some((ours) => ours === one));
  return isOurs ? null : `its ${audienceClaim} is another one than JWT_AUDIENCE`;
}

/** That it has expired is judged with the signature; without iat, by which its age is known, exp bounds it. */
export function timeFault(
  { iat, exp = 0 }: JWTPayload,
  { ageSecondsMax }: JwtRules,
  nowMs: number,
): string | null {
  const nowSeconds = Math.floor(nowMs / 1_000);
  const latest = ageSecondsMax + CLOCK_TOLERANCE_SECONDS;
  if (iat === undefined) {
    return exp - nowSeconds > latest
      ? "it has no iat, and counts longer than JWT_MAX_AGE_HOURS"
      : null;
  }
  if (iat - nowSeconds > CLOCK_TOLERANCE_SECONDS) return "its iat is in the future";
  return nowSeconds - iat > latest ? "it is older than JWT_MAX_AGE_HOURS" : null;
}

/** By whole words: a text holds them with spaces between, a list one in each entry. */
export function holdsRight(
  claims: JWTPayload,
  { operatorClaims, operatorScope }: JwtRules,
): boolean {
  return operatorClaims.some((name) => {
    const value = claimAt(claims, name);
    const words = typeof value === "string" ? value.split(" ") : value;
    return Array.isArray(words) && words.some((one) => one === operatorScope);
  });
}

/** A claim by its name or, where there is none, by its path: realm_access.roles. */
function claimAt(claims: JWTPayload, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part))
      return undefined;
    value = Object.entries(value).find(([own]) => own === part)?.[1];
  }
  return value;
}
