import { invariant } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import type { MechanismDescription } from "../mechanism.ts";
import { Generations } from "./generations.ts";
import { redisCounterIssuer } from "./issuer.ts";
import { pendingAgeMeasure, redisDriftMeasure } from "./measures.ts";
import { redisCounterPreparation } from "./preparation.ts";
import { Reconciler } from "./reconciler.ts";

export const redisCounter: MechanismDescription = {
  name: "redis-counter",
  version: "v2",
  title: "Redis counter",
  summary: "Redis counts who may have a coupon, and PostgreSQL commits hundreds of them at once.",
  needs: ["postgres", "redis"],
  queues: false,
  batches: ["redis-script", "redis-rows"],
  open({ redis, postgres, decisions, directory, drawCode, drawToken, hear, role, stack }) {
    invariant(redis !== null, "a mechanism is opened only with its engines");
    const onOthers = (eventId: EventId, reason: string): void =>
      hear.trouble(
        { eventId, reason, fatal: false },
        "v2 refuses claims of this event here; see docs/operating.md",
      );
    const work = { redis, postgres, directory, drawCode, drawToken };
    const generations = new Generations({ ...work, onOthers });
    const writing = { ...work, generations };
    const onTrouble = (eventId: EventId, reason: string): void =>
      hear.trouble(
        { eventId, reason, fatal: false },
        "v2 cannot reconcile this event: who reserved in it may wait for their row; see docs/operating.md",
      );
    const told = { onTrouble, onError: hear.failure, onGivenBack: hear.warning };
    const reconciler = role === "api" ? null : new Reconciler({ ...writing, ...told });
    if (reconciler !== null) stack.defer(async () => reconciler.close(), "the reconciler of v2");
    const issuer = stack.use(
      redisCounterIssuer({ ...writing, postgres: decisions }),
      "the claims of v2",
    );
    return {
      issuer,
      preparation: redisCounterPreparation({ redis, generations, drawToken }),
      available: () => redis.isUp() && postgres.isUp(),
      measures:
        reconciler === null
          ? []
          : [
              redisDriftMeasure((eventsMax) => reconciler.drift(eventsMax)),
              pendingAgeMeasure(() => reconciler.pendingAges()),
            ],
      resources: { "redis-line": () => issuer.saturation() },
      lines: () => issuer.lines(),
    };
  },
};
