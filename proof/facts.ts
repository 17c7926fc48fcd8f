// What the engines themselves do, and the design has to be built for. Each is reproduced on the real
// engine; one that has changed with a new version is known before the product meets it.

export type Fact = {
  readonly id: string;
  readonly sentence: string;
  /** Tests and commands that reproduce it. */
  readonly shownBy: readonly string[];
};

const POSTGRES = "packages/infrastructure/test/engines/postgres/facts.test.ts";

export const facts: readonly Fact[] = [
  {
    id: "F1",
    sentence:
      "Under READ COMMITTED, a statement that locks the event's row and counts rows counts what was there before its wait.",
    shownBy: [POSTGRES],
  },
  {
    id: "F2",
    sentence:
      "Under REPEATABLE READ, whoever waits for a holder that only locked and inserted gets no error, and counts in a snapshot older than the wait.",
    shownBy: [POSTGRES],
  },
  {
    id: "F3",
    sentence: "COMMIT of an aborted transaction succeeds; only its tag says ROLLBACK.",
    shownBy: [POSTGRES],
  },
  {
    id: "F4",
    sentence:
      "ioredis sends a command again whose reply was lost, so that an INCR counts twice; it is not used here.",
    shownBy: [],
  },
  {
    id: "F5",
    sentence:
      "node-redis with its offline queue off rejects a command whose reply was lost, and does not send it again.",
    shownBy: ["packages/infrastructure/test/engines/redis/open.test.ts"],
  },
  {
    id: "F6",
    sentence: "A Lua script that fails at its second command keeps the write of its first one.",
    shownBy: ["packages/infrastructure/test/redis-counter/scripts.test.ts"],
  },
  {
    id: "F7",
    sentence:
      "A claim whose database connection is destroyed while it waits for the lock still gets the lock, and commits its row.",
    shownBy: [POSTGRES],
  },
  {
    id: "F8",
    sentence:
      "One Kafka replica acknowledges acks=all although two in-sync replicas are asked for.",
    shownBy: ["npm run faults -- F8"],
  },
  {
    id: "F9",
    sentence:
      "A broker that lost its log, or the tail of it, returns with the same topic id and a lower end.",
    shownBy: ["npm run faults -- F9"],
  },
  {
    id: "F10",
    sentence:
      "Of 200 concurrent sends of the Kafka client, each that was acknowledged is in the log at its offset.",
    shownBy: ["packages/infrastructure/test/kafka-queue/log.test.ts"],
  },
];
