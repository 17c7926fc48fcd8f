// A process's end of the simulated broker: the wire of a log writer (its retries, sequences and
// what it makes of errors are the service's own), long polls, and looks from outside.
import { EngineFault } from "@stampede/domain";
import { brokenRange, brokenTopic } from "@stampede/infrastructure/src/kafka-queue/log/topics.ts";
import { logWriterOver } from "@stampede/infrastructure/src/kafka-queue/log/log-writer.ts";
import { NetworkError, ProtocolError } from "@platformatic/kafka";
import type { Kafka } from "@stampede/infrastructure/src/kafka-queue/log/open.ts";
import type { LogCondition } from "@stampede/infrastructure/src/kafka-queue/log/topics.ts";
import type { LogFeed, LogReader } from "@stampede/infrastructure/src/kafka-queue/log/log-feed.ts";
import type { LogReading } from "@stampede/infrastructure/src/kafka-queue/log/log-reading.ts";
import type { ProduceWire } from "@stampede/infrastructure/src/engines/kafka/produce-wire.ts";
import type { Time } from "@stampede/infrastructure/src/engines/time.ts";
import type { Faults } from "../faults.ts";
import { Wire } from "../network.ts";
import type { Random } from "../random.ts";
import type { Process, Scheduler } from "../scheduler.ts";
import type { Broker } from "./kafka.ts";

export type KafkaLink = {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly broker: Broker;
};

/** As kafka/open.ts bounds them. */
const PRODUCE_MS_MAX = 4_000;
const CONTROL_MS_MAX = 3_000;
const PROBE_EVERY_MS = 2_000;
/** With which a leader says that it did not append, and with which that it may have. */
const REFUSALS = ["NOT_ENOUGH_REPLICAS", "NOT_LEADER_OR_FOLLOWER", "UNKNOWN_PRODUCER_ID"];
const AFTER_APPEND = ["NOT_ENOUGH_REPLICAS_AFTER_APPEND", "REQUEST_TIMED_OUT"];

export function kafkaClient(link: KafkaLink, process: Process, time: Time): Kafka {
  const { scheduler, random, faults, broker } = link;
  const there = new Wire(scheduler, random);
  const back = new Wire(scheduler, random);
  let up = broker.up;

  /** Asks the broker something that changes nothing; rejects as the adapters' questions do. */
  const ask = async <Value>(what: string, answer: () => Value): Promise<Value> =>
    new Promise((resolve, reject) => {
      const fail = (): void => reject(new EngineFault("kafka", "not-applied", `${what} failed`));
      const fault = faults.ofMessage(scheduler.nowMs, `kafka ${what}`, ["cut-before", "slow"]);
      if (fault === "cut-before" || !broker.up) {
        scheduler.after(broker.up ? 1 : random.between(1, 300), process, fail);
        return;
      }
      const late = scheduler.after(CONTROL_MS_MAX, process, fail);
      there.send(null, () => {
        if (!broker.up) return;
        const value = answer();
        back.send(process, () => {
          late.run = null;
          resolve(value);
        });
      });
    });
  const probe = async (): Promise<void> => {
    try {
      await ask("metadata", () => undefined);
      up = true;
    } catch {
      up = false;
    }
  };
  time.every(PROBE_EVERY_MS, () => void probe());

  const wire = produceWire(link, process, time, ask);
  return {
    isUp: () => up,
    probe,
    createLog: async (topic) => ({
      topic,
      topicId: await ask("create", () => broker.create(topic)),
    }),
    deleteLogs: async (topics) => topics,
    inspectLogs: async (logs) =>
      ask("inspect", () => new Map(logs.map((log) => [log.topic, conditionOf(broker, log)]))),
    openWriter(topic, check) {
      const writer = logWriterOver(wire, { topic, check });
      return {
        prepare: async () => writer.prepare(),
        async append(batch) {
          try {
            return await writer.append(batch);
          } catch (error) {
            void probe();
            throw error;
          }
        },
      };
    },
    openReader: (log) => reader(link, process, log),
    watch: watchWith((log) => reader(link, process, log), time),
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function conditionOf(
  broker: Broker,
  log: { readonly topic: string; readonly topicId: string; readonly mark: number },
): LogCondition {
  const stored = broker.logs.get(log.topic);
  const facts =
    stored === undefined
      ? undefined
      : { topicId: stored.topicId, partitions: 1, leader: { host: "simulated", port: 1 } };
  const end = stored?.records.length;
  const broken = brokenTopic(log, facts) ?? brokenRange(log.mark, { start: 0, end });
  return { end: end ?? null, broken };
}

function produceWire(
  { scheduler, random, faults, broker }: KafkaLink,
  process: Process,
  time: Time,
  ask: <Value>(what: string, answer: () => Value) => Promise<Value>,
): ProduceWire {
  const known = new Map<string, string>();
  const produce = async (topic: string, sealed: Buffer): Promise<number> =>
    new Promise((resolve, reject) => {
      const there = new Wire(scheduler, random);
      const back = new Wire(scheduler, random);
      // The buffer is the service's to seal again: what is on its way keeps its bytes.
      const bytes = Buffer.from(sealed);
      const lost = (): void => reject(new NetworkError("Connection closed"));
      const late = scheduler.after(PRODUCE_MS_MAX, process, () =>
        reject(new NetworkError("Request timed out")),
      );
      const settle = (deliver: () => void, lateMs = 0): void =>
        back.send(
          process,
          () => {
            late.run = null;
            deliver();
          },
          lateMs,
        );
      const fault = faults.ofMessage(scheduler.nowMs, "kafka produce", [
        "cut-before",
        "cut-after",
        "refused",
        "rolled-back",
        "late-reply",
        "slow",
      ]);
      if (fault === "cut-before" || !broker.up) return settle(lost);
      const extraMs = fault === "slow" ? random.between(20, 900) : 0;
      const leftMs = Math.max(0, faults.healsAtMs - scheduler.nowMs);
      const lateMs = fault === "late-reply" ? Math.min(random.between(300, 6_000), leftMs) : 0;
      const refuse = (ids: readonly string[]): void => {
        const id = random.pick(ids);
        const error = new ProtocolError(id);
        broker.onAnswer(id);
        settle(() => reject(error));
      };
      there.send(
        null,
        () => {
          if (!broker.up) return settle(lost);
          if (fault === "refused") return refuse(REFUSALS);
          const appended = broker.append(topic, bytes, scheduler.nowMs);
          if (fault === "rolled-back") return refuse(AFTER_APPEND);
          if (fault === "cut-after") return settle(lost);
          if (typeof appended === "string") return refuse([appended]);
          settle(() => resolve(appended), lateMs);
        },
        extraMs,
      );
    });
  return {
    time,
    async find(topic) {
      let topicId = known.get(topic);
      if (topicId === undefined) {
        topicId = await ask("metadata", () => broker.logs.get(topic)?.topicId);
        if (topicId === undefined) {
          throw new EngineFault("kafka", "not-applied", `topic ${topic} has no leader`);
        }
        known.set(topic, topicId);
      }
      return { topicId, partitions: 1, leader: { host: "simulated", port: 1 } };
    },
    forget: (topic) => void known.delete(topic),
    connect: async () => ({ produce }),
    openProducer: async () => ({
      producerId: await ask("producer", () => broker.openProducer()),
      producerEpoch: 0,
    }),
  };
}

function reader(
  { scheduler, random, faults, broker }: KafkaLink,
  process: Process,
  log: { readonly topic: string; readonly topicId: string },
): LogReader {
  const there = new Wire(scheduler, random);
  const back = new Wire(scheduler, random);
  let hangUp = (): void => undefined;
  return {
    read: async (offset, waitMs) =>
      new Promise<LogReading>((resolve, reject) => {
        const fail = (): void =>
          reject(
            new EngineFault("kafka", "not-applied", "Kafka failed while reading the log: lost"),
          );
        hangUp = fail;
        const fault = faults.ofMessage(scheduler.nowMs, "kafka fetch", ["cut-after", "slow"]);
        if (fault === "cut-after" || !broker.up) {
          scheduler.after(random.between(1, 50), process, fail);
          return;
        }
        let over = false;
        const answer = (): void => {
          if (over) return;
          const stored = broker.logs.get(log.topic);
          const records = stored?.records.slice(offset) ?? [];
          const untilMs = askedMs + waitMs;
          const mismatch = stored?.topicId !== log.topicId || stored.records.length < offset;
          if (!mismatch && records.length === 0 && broker.up && scheduler.nowMs < untilMs) return;
          over = true;
          broker.pollers.delete(answer);
          const end = stored?.records.length ?? 0;
          const appendedAtMs = records[0]?.appendedAtMs ?? null;
          const { up } = broker;
          back.send(process, () => {
            if (!up) fail();
            else if (mismatch) resolve({ kind: "mismatch" });
            else resolve({ kind: "read", records, end, appendedAtMs });
          });
        };
        let askedMs = 0;
        there.send(null, () => {
          askedMs = scheduler.nowMs;
          broker.pollers.add(answer);
          scheduler.after(waitMs, null, answer);
          answer();
        });
      }),
    close: () => hangUp(),
  };
}

const WATCH_MS = 500;
const AFTER_FAULT_MS = 250;

/** As log-feed.ts does it, log by log: naming many in one request is what it adds for real brokers. */
function watchWith(openReader: LogFeed["openReader"], time: Time): LogFeed["watch"] {
  return (log, offset, onNews) => {
    const reader = openReader(log);
    let over = false;
    const look = async (): Promise<void> => {
      while (!over) {
        try {
          const reading = await reader.read(offset, WATCH_MS);
          if (over || (reading.kind === "read" && reading.records.length === 0)) continue;
          over = true;
          onNews();
        } catch (error) {
          if (!(error instanceof EngineFault)) throw error;
          await time.sleep(AFTER_FAULT_MS);
        }
      }
    };
    void look();
    return () => {
      over = true;
      reader.close();
    };
  };
}
