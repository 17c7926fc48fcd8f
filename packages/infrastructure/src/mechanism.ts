// What a mechanism is to the service. Each has a folder of its own whose mechanism.ts describes it,
// and mechanisms.ts lists them; docs/adding-a-mechanism.md leads through the making of one.
import type { CouponIssuer, MechanismFacts } from "@stampede/domain";
import type { Foundation } from "./foundation.ts";
import type { EventShares, Measure } from "./engines/measure.ts";
import type { EventPreparation } from "./rows/event-store.ts";

export type MechanismDescription = MechanismFacts & {
  /** The kinds of batches that its facts tell (`publishBatch`), so that their series start at 0. */
  readonly batches: readonly string[];
  /**
   * Opens it in this process, background work included where `foundation.role` is not "api". What has
   * to be closed again goes to `foundation.stack`. Its engines are there, though they may be away.
   */
  readonly open: (foundation: Foundation) => Promise<OpenMechanism> | OpenMechanism;
  /** What became of a claim, told where one of its engines is off; by the rows alone if not given. */
  readonly statusWithoutEngine?: (foundation: Foundation) => CouponIssuer["status"];
};

/** A mechanism as this process runs it. */
export type OpenMechanism = {
  readonly issuer: CouponIssuer;
  /** What its events need beside their row; null where that is nothing. */
  readonly preparation: EventPreparation | null;
  /** Whether it can take claims now, as far as this process knows without asking. */
  readonly available: () => boolean;
  readonly measures: readonly Measure[];
  /** What its claims queue for: the taken share by name, 0 to 1. */
  readonly resources: Readonly<Record<string, () => number>>;
  /** How full each event's own line is, so that one that is stuck is told by its name. */
  readonly lines: () => EventShares;
};
