import { invariant } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import type { MechanismDescription } from "../mechanism.ts";
import { Decider } from "./decider/decider.ts";
import { kafkaQueueIssuer } from "./issuer.ts";
import { deciderMeasures, queueLengthMeasure, undecidedAgeMeasures } from "./measures.ts";
import { kafkaQueuePreparation } from "./preparation.ts";
import { queueStatus, tickets } from "./status.ts";

export const kafkaQueue: MechanismDescription = {
  name: "kafka-queue",
  version: "v3",
  title: "Kafka queue",
  summary:
    "Kafka puts claims in order and gives each a place; who wins is decided behind the line.",
  needs: ["postgres", "kafka"],
  queues: true,
  batches: ["kafka-produce", "kafka-decide"],
  statusWithoutEngine: ({ postgres, directory }) =>
    queueStatus({ postgres, directory, ticketOf: tickets(directory, postgres.time) }),
  open({ kafka, postgres, decisions, directory, drawToken, hear, role, stack, keepLogMs }) {
    invariant(kafka !== null, "a mechanism is opened only with its engines");
    const onHalt = (eventId: EventId, reason: string): void =>
      hear.trouble(
        { eventId, reason, fatal: true },
        "this event is HALTED: its log cannot be trusted; see docs/operating.md",
      );
    const shared = { kafka, postgres, directory, onHalt, onError: hear.failure };
    const decider =
      role === "api"
        ? null
        : new Decider({
            ...shared,
            postgres: decisions,
            keepLogMs,
            onGivenBack: hear.warning,
          });
    if (decider !== null) stack.defer(async () => decider.close(), "the decider of v3");
    const issuer = stack.use(kafkaQueueIssuer(shared), "the claims of v3");
    return {
      issuer,
      preparation: kafkaQueuePreparation({ kafka, postgres, drawToken }),
      // It goes on queueing while PostgreSQL is away.
      available: () => kafka.isUp(),
      measures:
        decider === null
          ? []
          : [
              ...deciderMeasures(() => decider.facts()),
              ...undecidedAgeMeasures(
                () => decider.undecidedAges(),
                (eventId) => directory.paceOf(eventId) === 0,
              ),
              queueLengthMeasure(kafkaQueue.name, directory, () => decider.waiting()),
            ],
      resources: { "kafka-line": () => issuer.saturation() },
      lines: () => issuer.lines(),
    };
  },
};
