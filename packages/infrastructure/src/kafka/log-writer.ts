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
import { initProducerIdV4, produceV9, Writer } from "@platformatic/kafka";
import type { Connection, ConnectionPool } from "@platformatic/kafka";
import type { Cluster, TopicFacts } from "./cluster.ts";
import { appendFailure, kafkaFault } from "./faults.ts";
import { timed } from "../telemetry.ts";
import type { RoundTrip } from "../telemetry.ts";
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

/** How long the leader waits for its replicas. */
const REPLICAS_MS_MAX = 3_000;
/** Sending again starts no later than this after the first attempt. */
const DELIVERY_MS_MAX = 4_000;
const RETRY_MS = 100;
const ACKS_ALL = -1;
const PRODUCE: RoundTrip = { engine: "kafka", operation: "produce" };

type Session = { readonly producerId: bigint; readonly producerEpoch: number; sequence: number };

type Attempt =
  | { readonly kind: "appended"; readonly baseOffset: number }
  | { readonly kind: "refused"; readonly error: unknown; readonly again: boolean }
  | { readonly kind: "lost"; readonly error: unknown; readonly sending: Session };

/** `check` is shown the topic whenever it is used, and throws `TopicUnusable` where it must not be. */
export function logWriter(
  cluster: Cluster,
  options: {
    readonly pool: ConnectionPool;
    readonly topic: string;
    readonly check: (facts: TopicFacts) => void;
  },
): LogWriter {
  const { pool, topic, check } = options;
  const producer = producerSession(cluster);

  const connectLeader = async (): Promise<{ connection: Connection; sending: Session }> => {
    const facts = await cluster.find(topic);
    check(facts);
    const sending = await producer.open();
    return { connection: await cluster.connect(pool, facts.leader), sending };
  };

  const attempt = async (batch: RecordBatch): Promise<Attempt> => {
    let connection: Connection;
    let sending: Session;
    try {
      ({ connection, sending } = await connectLeader());
    } catch (error) {
      cluster.forget(topic);
      return { kind: "refused", error, again: !(error instanceof TopicUnusable) };
    }
    try {
      const baseOffset = await timed(PRODUCE, async () =>
        produce(connection, topic, sending, batch),
      );
      sending.sequence += batch.count;
      return { kind: "appended", baseOffset };
    } catch (error) {
      const failure = appendFailure(error);
      if (failure === "unknown" || failure === "leader-moved") cluster.forget(topic);
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
      const deadlineMs = cluster.time.nowMs() + DELIVERY_MS_MAX;
      let lostWith: Session | null = null;
      for (;;) {
        const result = await attempt(batch);
        if (result.kind === "appended") return result.baseOffset;
        if (result.kind === "lost") lostWith ??= result.sending;
        const lost = lostWith !== null;
        const repeatable = result.kind === "lost" || result.again;
        // A new producer id would hide from the broker that it may have this batch already.
        const sameProducer = lostWith === null || producer.has(lostWith);
        const inTime = cluster.time.nowMs() + RETRY_MS < deadlineMs;
        if (!repeatable || !sameProducer || !inTime) {
          // Whether the broker counted this sequence is not known either: the next batch starts anew.
          if (lost) producer.forget();
          throw appendFault(result.error, lost);
        }
        await cluster.time.sleep(RETRY_MS);
      }
    },
  };
}

/** The producer id of one writer, until it is forgotten. */
function producerSession(cluster: Cluster): {
  open(): Promise<Session>;
  /** Whether the next batch goes out under this id. */
  has(session: Session): boolean;
  forget(): void;
} {
  let session: Session | null = null;
  let opening: Promise<Session> | null = null;
  return {
    async open() {
      if (session !== null) return session;
      // One at a time: a batch that is sent again under another id would be in the log twice.
      opening ??= openSession(cluster).finally(() => {
        opening = null;
      });
      const opened = await opening;
      session ??= opened;
      return session;
    },
    has: (other) => session === other,
    forget() {
      session = null;
    },
  };
}

async function openSession(cluster: Cluster): Promise<Session> {
  const connection = await cluster.connectAny();
  try {
    const { producerId, producerEpoch } = await initProducerIdV4.api.async(connection, null, 0);
    return { producerId, producerEpoch, sequence: 0 };
  } catch (error) {
    throw kafkaFault(error, "not-applied", "asking for a producer id");
  }
}

/** One attempt on one connection; rejects with what the client throws. */
async function produce(
  connection: Connection,
  topic: string,
  session: Session,
  batch: RecordBatch,
): Promise<number> {
  const sealed = sealBatch(batch, session);
  const answer = await new Promise<ProduceResponse>((resolve, reject) => {
    connection.send(
      produceV9.api.key,
      produceV9.api.version,
      () => produceRequest(topic, sealed),
      produceV9.parseResponse,
      true,
      true,
      (error, response) => {
        if (error === null && response !== undefined) resolve(response);
        else reject(error ?? new Error("the broker's answer is empty"));
      },
    );
  });
  const baseOffset = Number(answer.responses[0]?.partitionResponses[0]?.baseOffset ?? -1n);
  if (!Number.isSafeInteger(baseOffset) || baseOffset < 0) {
    throw new Error(`the ack of a batch for ${topic} names no offset`);
  }
  return baseOffset;
}

type ProduceResponse = ReturnType<typeof produceV9.parseResponse>;

/** Produce, version 9, with one batch for one partition. */
function produceRequest(topic: string, records: Buffer): Writer {
  return Writer.create()
    .appendString(null) // no transaction
    .appendInt16(ACKS_ALL)
    .appendInt32(REPLICAS_MS_MAX)
    .appendArray([topic], (writer, name) => {
      writer.appendString(name).appendArray([0], (inner, partition) => {
        inner
          .appendInt32(partition)
          .appendUnsignedVarInt(records.length + 1)
          .append(records);
      });
    })
    .appendTaggedFields();
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
