import type { Engine } from "../engine-fault.ts";

/**
 * How an event decides, for its whole life: there are never two deciders. The name of one, of the
 * form of `MECHANISM_PATTERN`; which there are is told by whoever runs them.
 */
export type Mechanism = string;

export const MECHANISM_PATTERN = "^[a-z][a-z0-9-]{0,31}$";

/** What anybody may know of a mechanism. */
export type MechanismFacts = {
  readonly name: Mechanism;
  /** The first part of the path of its claims: "v1", "v2" and so on. */
  readonly version: string;
  /** For people: a few words. */
  readonly title: string;
  /** For people: one sentence, what it does with a claim. */
  readonly summary: string;
  /** The engines without which it does not issue. */
  readonly needs: readonly Engine[];
  /** Whether people stand in a line: a claim is answered with a ticket, and an event may have a pace. */
  readonly queues: boolean;
};
