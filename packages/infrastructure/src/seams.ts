// What a simulated sale puts simulated engines under, and what these have to speak: the mechanisms
// run over them as they are. For tests/simulation only; the service is index.ts.
export { drawCode } from "./codes.ts";
export { NetworkError, ProtocolError } from "@platformatic/kafka";
export type { Kafka } from "./kafka/open.ts";
export type { LogReader, LogReading, LogRecord } from "./kafka/log-reader.ts";
export { encodeClaims } from "./kafka/record-batch.ts";
export { logWriterOver, type LogWriter } from "./kafka/log-writer.ts";
export type { ProduceWire } from "./kafka/produce-wire.ts";
export type { TopicFacts } from "./kafka/cluster.ts";
export { brokenRange, brokenTopic, type Log, type LogCondition } from "./kafka/topics.ts";
export * from "./postgres/driver.ts";
export { openPostgresWith, type Postgres, type Sql } from "./postgres/open.ts";
export { ClientClosedError, ErrorReply } from "redis";
export { openRedisWith, type Redis, type RedisClient } from "./redis/open.ts";
export { claimScript, mergeScript, openedBy, rebuildScript } from "./redis/scripts.ts";
export type { Time } from "./time.ts";
export { issueBatch, lockEvent, readUnderLock } from "./postgres/coupon-issues.ts";
export { readEvents, readIssuesAfter, readIssuesOf } from "./postgres/directory-rows.ts";
export { takeOver } from "./kafka/decide-batch.ts";
