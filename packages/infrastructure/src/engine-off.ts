import type { CouponIssuer, Engine } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory } from "./rows/event-directory.ts";
import type { EventPreparation } from "./rows/event-store.ts";
import { statusByRows } from "./rows/status.ts";

const RETRY_AFTER_MS = 30_000;

/** The issuer of a mechanism whose engine is off: nothing can be claimed, all that is committed read. */
export function engineOffIssuer(engine: Engine, directory: EventDirectory): CouponIssuer {
  return {
    async claim(eventId, userId) {
      const lookup = await directory.lookUp(eventId, userId);
      // Without its engine only what is final is told: who has a coupon, and that all are sold.
      const status = statusByRows(lookup);
      if (status.kind === "issued") return { kind: "replayed", couponIssue: status.couponIssue };
      if (status.kind === "sold-out") return { kind: "refused", refusal: { kind: "sold-out" } };
      throw engineOff(engine);
    },
    async status(eventId, userId) {
      return statusByRows(await directory.lookUp(eventId, userId));
    },
    available: () => false,
  };
}

/** Refuses to make an event that could never take a claim. */
export function engineOffPreparation(engine: Engine): EventPreparation {
  return {
    async prepare() {
      throw engineOff(engine);
    },
  };
}

function engineOff(engine: Engine): EngineFault {
  const message = `${engine} is off: this process was started without it`;
  return new EngineFault(engine, "not-applied", message, { retryAfterMs: RETRY_AFTER_MS });
}
