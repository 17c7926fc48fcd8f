// What tests do with a Kafka of somebody else (own-kafka.ts).
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before } from "node:test";
import type { TestContext } from "node:test";
import {
  AclOperations,
  AclPermissionTypes,
  ResourcePatternTypes,
  ResourceTypes,
} from "@platformatic/kafka";
import { parseEventId } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import type { KafkaAccess } from "../../../src/engines/kafka/access.ts";
import { systemTime } from "../../../src/engines/time.ts";
import { openKafka } from "../../../src/kafka-queue/log/open.ts";
import type { Kafka } from "../../../src/kafka-queue/log/open.ts";
import { encodeClaims } from "../../../src/kafka-queue/log/record-batch.ts";
import type { RecordBatch } from "../../../src/kafka-queue/log/record-batch.ts";
import { readLog } from "../../support/kafka-queue.ts";
import { person } from "../../support/sale.ts";
import { startOwnKafka } from "./own-kafka.ts";
import type { OwnKafka } from "./own-kafka.ts";

const spring = parseEventId("spring") as EventId;

/** One Kafka for all tests of the suite that calls this. */
export function ownKafkaOfSuite(users: readonly string[]): () => OwnKafka {
  let own: OwnKafka | null = null;
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    own = await startOwnKafka({ after: (end) => ends.push(end) }, users);
  });
  after(async () => {
    for (const end of ends.toReversed()) await end();
  });
  return () => {
    assert.ok(own !== null, "the suite's Kafka did not start");
    return own;
  };
}

export async function open(
  t: TestContext,
  brokers: string,
  access: KafkaAccess,
): Promise<{ kafka: Kafka; told: { warnings: string[]; errors: string[] } }> {
  const told = { warnings: [] as string[], errors: [] as string[] };
  const tell = {
    warning: (message: string) => told.warnings.push(message),
    error: (message: string) => told.errors.push(message),
  };
  const kafka = await openKafka({ brokers, access, tell, time: systemTime });
  t.after(async () => kafka.close());
  return { kafka, told };
}

export async function claimAndRead(kafka: Kafka, claims: number): ReturnType<Kafka["createLog"]> {
  const log = await kafka.createLog(nameOf());
  const writer = kafka.openWriter(log.topic, () => undefined);
  for (let n = 0; n < claims; n += 1) assert.equal(await writer.append(batchOf(n)), n);
  const persons = (await readLog(kafka, log)).map(({ key }) => key?.toString());
  assert.deepEqual(
    persons,
    Array.from({ length: claims }, (_, n) => person(n)),
  );
  return log;
}

export function batchOf(...persons: readonly number[]): RecordBatch {
  return encodeClaims(persons.map((n) => ({ eventId: spring, userId: person(n) })));
}

export function nameOf(): string {
  return `stampede.spring.${randomBytes(6).toString("hex")}`;
}

type Operation = keyof typeof AclOperations;

export async function allow(
  own: OwnKafka,
  user: string,
  operations: readonly Operation[],
): Promise<void> {
  await own.admin().createAcls({ creations: operations.map((name) => aclOf(user, name)) });
}

export function aclOf(
  user: string,
  operation: Operation,
): Parameters<ReturnType<OwnKafka["admin"]>["createAcls"]>[0]["creations"][number] {
  return {
    resourceType: ResourceTypes.TOPIC,
    resourceName: "stampede.",
    resourcePatternType: ResourcePatternTypes.PREFIXED,
    principal: `User:${user}`,
    host: "*",
    operation: AclOperations[operation],
    permissionType: AclPermissionTypes.ALLOW,
  };
}
