import type { CouponIssuer, Engine } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory } from "./postgres/event-directory.ts";
import type { EventPreparation } from "./postgres/event-store.ts";
import { statusWithoutQueue } from "./postgres/row-lock-issuer.ts";

const RETRY_AFTER_MS = 30_000;

/** The issuer of a mechanism whose engine is off: nothing can be claimed, all that is committed read. */
export function engineOffIssuer(engine: Engine, directory: EventDirectory): CouponIssuer {
  return {
    async claim(eventId, userId) {
      const lookup = await directory.lookUp(eventId, userId);
      if (lookup !== null && lookup.mine !== null) {
        return { kind: "replayed", couponIssue: lookup.mine };
      }
      if (lookup !== null && lookup.event.issued === lookup.event.limit) {
        return { kind: "refused", refusal: { kind: "sold-out" } };
      }
      throw engineOff(engine);
    },
    async status(eventId, userId) {
      return statusWithoutQueue(await directory.lookUp(eventId, userId));
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
