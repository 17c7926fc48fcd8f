import type { ClaimStatus } from "@stampede/domain";
import type { Lookup } from "./event-directory.ts";

/** What the rows say of a person, where nobody stands in a line. */
export function statusByRows(lookup: Lookup | null): ClaimStatus {
  if (lookup === null) return { kind: "none" };
  if (lookup.mine !== null) return { kind: "issued", couponIssue: lookup.mine };
  if (lookup.event.issued === lookup.event.limit) return { kind: "sold-out" };
  return { kind: lookup.event.voided ? "voided" : "none" };
}
