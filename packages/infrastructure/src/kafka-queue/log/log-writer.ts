// Appends batches of claims to partition 0 of one event's topic, one after another, with acks=all and
// a producer id of its own, so that an attempt that is repeated adds its records once.
//
// States of a batch
//   sending --ack--> appended (the base offset is its first ticket)
//   sending --certain refusal, nothing lost before--> not applied, or again at the next leader
//   sending --no answer, or "after append"--> lost: sent again with the same sequence until the
//             deadline, by which the broker recognises it; then the outcome is unknown
//
// Deliberately not done: more than one batch in flight (their order would be the broker's choice), and
// transactions (their markers take offsets, and they do not reach into PostgreSQL).
import { EngineFault } from "@stampede/domain";
import type { ConnectionPool } from "@platformatic/kafka";
import type { Cluster } from "../../engines/kafka/cluster.ts";
import type { TopicFacts } from "../../engines/kafka/led-topics.ts";
import { appendFailure, kafkaFault } from "../../engines/kafka/faults.ts";
import { timed } from "../../engines/telemetry.ts";
import type { RoundTrip } from "../../engines/telemetry.ts";
import { produceWire } from "../../engines/kafka/produce-wire.ts";
import type { LeaderConnection, ProduceWire } from "../../engines/kafka/produce-wire.ts";
import type { RecordBatch } from "./record-batch.ts";
import { sealBatch } from "./record-batch.ts";

export type LogWriter = {
  /**
   * Appends the batch and answers with its first record's offset, after all in-sync replicas have
   * it. Rejects with `EngineFault`: "not-applied" only where no attempt can have reached the log.
   * Must not be called again before it has answered.
   */
  append(batch: RecordBatch): Promise<number>;
  /**
   * Finds the leader, a connection and a producer id beforehand, so that the first batch needs one
   * question and not four. Rejects where that cannot be had now; `append` then tries again.
   */
  prepare(): Promise<void>;
};

/** Sending again starts no later than this after the first attempt. */
const DELIVERY_MS_MAX = 4_000;
const RETRY_MS = 100;
const PRODUCE: RoundTrip = { engine: "kafka", operation: "produce" };

type ProducerSession = {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  sequence: number;
};

type Attempt =
  | { readonly kind: "appended"; readonly baseOffset: number }
  | { readonly kind: "refused"; readonly error: unknown; readonly again: boolean }
  | { readonly kind: "lost"; readonly error: unknown; readonly sending: ProducerSession };

/** `check` is shown the topic whenever it is used, and throws `TopicUnusable` where it must not be. */
export function logWriter(
  cluster: Cluster,
  options: {
    readonly pool: ConnectionPool;
    readonly topic: string;
    readonly check: (facts: TopicFacts) => void;
  },
): LogWriter {
  return logWriterOver(produceWire(cluster, options.pool), options);
}

/** The same over any wire. */
export function logWriterOver(
  wire: ProduceWire,
  options: { readonly topic: string; readonly check: (facts: TopicFacts) => void },
): LogWriter {
  const { topic, check } = options;
  const { time } = wire;
  const producer = producerSession(wire);

  const connectLeader = async (): Promise<{
    connection: LeaderConnection;
    sending: ProducerSession;
  }> => {
    const facts = await wire.find(topic);
    check(facts);
    const sending = await producer.start();
    return { connection: await wire.connect(facts.leader), sending };
  };

  const attempt = async (batch: RecordBatch): Promise<Attempt> => {
    let connection: LeaderConnection;
    let sending: ProducerSession;
    try {
      ({ connection, sending } = await connectLeader());
    } catch (error) {
      wire.forget(topic);
      return { kind: "refused", error, again: !(error instanceof TopicUnusable) };
    }
    try {
      const baseOffset = await timed(PRODUCE, async () =>
        connection.produce(topic, sealBatch(batch, sending)),
      );
      sending.sequence += batch.count;
      return { kind: "appended", baseOffset };
    } catch (error) {
      const failure = appendFailure(error);
      if (failure === "unknown" || failure === "leader-moved") wire.forget(topic);
      if (failure === "unknown") return { kind: "lost", error, sending };
      if (failure === "producer-forgotten") producer.forget();
      return { kind: "refused", error, again: failure !== "not-appended" };
    }
  };

  return {
    async prepare() {
      await connectLeader();
    },
    async append(batch) {
      const deadlineMs = time.nowMs() + DELIVERY_MS_MAX;
      let lostWith: ProducerSession | null = null;
      for (;;) {
        const result = await attempt(batch);
        if (result.kind === "appended") return result.baseOffset;
        if (result.kind === "lost") lostWith ??= result.sending;
        const lost = lostWith !== null;
        const repeatable = result.kind === "lost" || result.again;
        // A new producer id would hide from the broker that it may have this batch already.
        const sameProducer = lostWith === null || producer.has(lostWith);
        const inTime = time.nowMs() + RETRY_MS < deadlineMs;
        if (!repeatable || !sameProducer || !inTime) {
          // Whether the broker counted this sequence is not known either: the next batch starts anew.
          if (lost) producer.forget();
          throw appendFault(result.error, lost);
        }
        await time.sleep(RETRY_MS);
      }
    },
  };
}

/** The producer id of one writer, until it is forgotten. */
function producerSession(wire: ProduceWire): {
  start(): Promise<ProducerSession>;
  /** Whether the next batch goes out under this id. */
  has(session: ProducerSession): boolean;
  forget(): void;
} {
  let session: ProducerSession | null = null;
  let starting: Promise<ProducerSession> | null = null;
  return {
    async start() {
      if (session !== null) return session;
      // One at a time: a batch that is sent again under another id would be in the log twice.
      starting ??= startProducerSession(wire).finally(() => {
        starting = null;
      });
      const started = await starting;
      session ??= started;
      return session;
    },
    has: (other) => session === other,
    forget() {
      session = null;
    },
  };
}

async function startProducerSession(wire: ProduceWire): Promise<ProducerSession> {
  return { ...(await wire.openProducer()), sequence: 0 };
}

/** The topic is not the event's one any more: nothing may be appended to it. */
export class TopicUnusable extends Error {
  override readonly name = "TopicUnusable";
}

function appendFault(error: unknown, lost: boolean): EngineFault {
  const fault = kafkaFault(error, lost ? "unknown" : "not-applied", "appending claims");
  if (!lost || fault.outcome === "unknown") return fault;
  return new EngineFault("kafka", "unknown", fault.message, { cause: fault });
}
