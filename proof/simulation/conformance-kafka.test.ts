// The simulated log answers as a real broker's does: the service's own writer and reader on both.
// Red when the simulated broker decodes another record, gives another offset or calls another read a
// mismatch, as with `<= offset` for `< offset` in kafka-client.ts.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { EventId, UserId } from "@stampede/domain";
import { systemTime } from "@stampede/infrastructure";
import { openKafka } from "@stampede/infrastructure/src/kafka-queue/log/open.ts";
import { missing, testEngine } from "@stampede/launcher/testing";
import { encodeClaims } from "@stampede/infrastructure/src/kafka-queue/log/record-batch.ts";
import type { Kafka } from "@stampede/infrastructure/src/kafka-queue/log/open.ts";
import type { LogReading } from "@stampede/infrastructure/src/kafka-queue/log/log-reading.ts";
import { kafkaClient } from "./engines/kafka-client.ts";
import { Broker } from "./engines/kafka.ts";
import { Faults } from "./faults.ts";
import { randomOf } from "./random.ts";
import type { Random } from "./random.ts";
import { Process, Scheduler } from "./scheduler.ts";
import { Trace } from "./trace.ts";

const SEQUENCES = 5;
const STEPS = 25;
const POLL_MS = 20;

type Settle = <Value>(asked: Promise<Value>) => Promise<Value>;

describe("the simulated log", () => {
  test("answers as the real one", { skip: missing("kafka") }, async (t) => {
    const kafka = await openKafka({ brokers: testEngine("kafka"), time: systemTime });
    t.after(async () => kafka.close());
    for (let sequence = 0; sequence < SEQUENCES; sequence += 1) {
      const seed = `conformance ${sequence}`;
      const scheduler = new Scheduler();
      const simulated = await useLog(simulatedKafka(scheduler), pumped(scheduler), randomOf(seed));
      const real = await useLog(kafka, async (asked) => asked, randomOf(seed));
      assert.deepEqual(simulated, real, `sequence ${sequence}`);
    }
  });
});

function simulatedKafka(scheduler: Scheduler): Kafka {
  const random = randomOf("bench");
  const faults = new Faults(random, new Trace(false));
  const process = new Process("bench", { startMs: 0, wallErrorMs: 0 });
  const link = { scheduler, random, faults, broker: new Broker(random) };
  return kafkaClient(link, process, scheduler.timeOf(process));
}

/** Lets simulated time pass until there is an answer. */
function pumped(scheduler: Scheduler): Settle {
  return async (asked) => {
    let answered = false;
    const outcome = asked.finally(() => {
      answered = true;
    });
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    await scheduler.run(() => answered, scheduler.nowMs + 60_000);
    assert.ok(answered, "the simulated log does not answer");
    return outcome;
  };
}

async function useLog(kafka: Kafka, settle: Settle, random: Random): Promise<string[]> {
  const log = await settle(kafka.createLog(`stampede.simulated.${randomBytes(6).toString("hex")}`));
  const writers = [1, 2].map(() => kafka.openWriter(log.topic, () => undefined));
  const reader = kafka.openReader(log);
  const outcomes: string[] = [];
  for (let step = 0; step < STEPS; step += 1) {
    const position = random.whole(0, 30);
    if (random.chance(0.5)) {
      const claims = Array.from({ length: random.whole(1, 4) }, () => ({
        eventId: "spring" as EventId,
        userId: `p${random.whole(0, 99)}` as UserId,
      }));
      const offset = await settle(random.pick(writers).append(encodeClaims(claims)));
      outcomes.push(`appended at ${offset}`);
    } else if (random.chance(0.7)) {
      outcomes.push(textOf(await settle(reader.read(position, POLL_MS))));
    } else {
      const looked = { ...log, mark: position };
      const conditions = await settle(kafka.inspectLogs([looked], { retention: false }));
      const { end, broken } = conditions.get(log.topic)!;
      outcomes.push(`ends at ${end}, ${broken}`);
    }
  }
  reader.close();
  return outcomes;
}

function textOf(reading: LogReading): string {
  if (reading.kind === "mismatch") return "mismatch";
  const records = reading.records.map(
    ({ offset, key, value }) => `${offset} ${key?.toString()} ${value?.toString()}`,
  );
  return [`up to ${reading.end}`, ...records].join("; ");
}
