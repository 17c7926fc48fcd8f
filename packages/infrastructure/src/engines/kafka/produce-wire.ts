// The requests that a log writer makes: each is one attempt on one connection. What an answer means,
// and what is sent again, is the writer's to know; a simulated log speaks this instead.
import { initProducerIdV4, produceV9, Writer } from "@platformatic/kafka";
import type { Broker, ConnectionPool } from "@platformatic/kafka";
import type { Time } from "../time.ts";
import type { Cluster } from "./cluster.ts";
import { kafkaFault } from "./faults.ts";
import type { LedTopic } from "./led-topics.ts";

export type LeaderConnection = {
  /** Sends a sealed batch with acks=all; its base offset. Rejects with what the client throws. */
  produce(topic: string, sealed: Buffer): Promise<number>;
};

export type ProduceWire = {
  readonly time: Time;
  /** The topic as known since the last `forget`. Rejects "not-applied" where it has no leader. */
  find(topic: string): Promise<LedTopic>;
  forget(topic: string): void;
  connect(leader: Broker): Promise<LeaderConnection>;
  /** Rejects with `EngineFault` ("not-applied"). */
  openProducer(): Promise<{ readonly producerId: bigint; readonly producerEpoch: number }>;
};

/** How long the leader waits for its replicas. */
const REPLICAS_MS_MAX = 3_000;
const ACKS_ALL = -1;

export function produceWire(cluster: Cluster, pool: ConnectionPool): ProduceWire {
  return {
    time: cluster.time,
    find: async (topic) => cluster.find(topic),
    forget: (topic) => cluster.forget(topic),
    async connect(leader) {
      const connection = await cluster.connect(pool, leader);
      return {
        async produce(topic, sealed) {
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
                else reject(error ?? new Error("the broker sent an empty answer"));
              },
            );
          });
          return baseOffsetOf(answer, topic);
        },
      };
    },
    async openProducer() {
      const connection = await cluster.connectAny();
      try {
        const opened = await initProducerIdV4.api.async(connection, null, 0);
        return { producerId: opened.producerId, producerEpoch: opened.producerEpoch };
      } catch (error) {
        throw kafkaFault(error, "not-applied", "asking for a producer id");
      }
    },
  };
}

type ProduceResponse = ReturnType<typeof produceV9.parseResponse>;

function baseOffsetOf(answer: ProduceResponse, topic: string): number {
  const baseOffset = Number(answer.responses[0]?.partitionResponses[0]?.baseOffset ?? -1n);
  if (!Number.isSafeInteger(baseOffset) || baseOffset < 0) {
    throw new Error(`the broker acknowledged a batch for ${topic} without an offset`);
  }
  return baseOffset;
}

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
