import type { CouponIssuer } from "@stampede/domain";

/** The issuers of several instances as one: each question goes to the next of them. */
export function inTurn(issuers: readonly CouponIssuer[]): CouponIssuer {
  let asked = 0;
  const next = (): CouponIssuer => {
    asked += 1;
    return issuers[asked % issuers.length]!;
  };
  return {
    claim: async (id, userId) => next().claim(id, userId),
    status: async (id, userId, ticket) => next().status(id, userId, ticket),
    available: (id) => issuers.every((issuer) => issuer.available(id)),
  };
}
