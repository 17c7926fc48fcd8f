// An operator makes an event, and tries again until it is there: an answer may be lost on the way.
import { createEvent, EngineFault } from "@stampede/domain";
import { knownMechanisms } from "@stampede/infrastructure/test/support/sale.ts";
import type { Fleet } from "./fleet.ts";
import type { Instance } from "./instance.ts";
import type { SalePlan } from "./plan.ts";
import { EPOCH_MS } from "./scheduler.ts";
import type { Scheduler } from "./scheduler.ts";

/** Longer than a creation takes without a fault. */
const AGAIN_MS = 700;

export function createSale(options: {
  readonly scheduler: Scheduler;
  readonly fleet: Fleet;
  readonly sale: SalePlan;
  readonly isMade: () => boolean;
  /** Called once, when the event is known to be there. */
  readonly onMade: () => void;
  readonly onBug: (error: unknown) => void;
}): void {
  const { scheduler, fleet, sale, isMade, onMade, onBug } = options;
  const { eventId: id, mechanism, limit, pace } = sale;
  const opensAtMs = EPOCH_MS + scheduler.nowMs + sale.opensInMs;
  const wanted = { id, name: "A sale", mechanism, limit, opensAtMs, closesAtMs: null, pace };
  let told = false;
  const tell = (): void => {
    if (!told) onMade();
    told = true;
  };
  const create = async ({ store }: Instance): Promise<void> => {
    try {
      const event = { ...wanted, listed: true };
      const result = await createEvent({ store, mechanisms: knownMechanisms }, event);
      if (!result.ok && result.refusal.kind !== "event-exists") {
        throw new Error(`the event was refused: ${result.refusal.kind}`);
      }
      tell();
    } catch (error) {
      // Whether it is there is seen at the next look, and it is made again where it is not.
      if (!(error instanceof EngineFault)) onBug(error);
    }
  };
  const look = (): void => {
    if (told) return;
    if (isMade()) {
      tell();
      return;
    }
    const first = fleet.serving()[0];
    if (first !== undefined) scheduler.after(0, first.process, () => void create(first));
    scheduler.after(AGAIN_MS, scheduler.outside, look);
  };
  look();
}
