import { EngineFault } from "@stampede/domain";
import type { FaultOutcome } from "@stampede/domain";
import { MultipleErrors } from "@platformatic/kafka";
import { brokerErrorId, kafkaReason } from "./words.ts";

/**
 * Errors with which a leader says that it did not append a batch. NOT_ENOUGH_REPLICAS_AFTER_APPEND
 * and REQUEST_TIMED_OUT are missing on purpose: there the leader's log has the records already.
 */
const NOT_APPENDED = new Set([
  "UNKNOWN_TOPIC_OR_PARTITION",
  "LEADER_NOT_AVAILABLE",
  "NOT_LEADER_OR_FOLLOWER",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
  "NOT_ENOUGH_REPLICAS",
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "CORRUPT_MESSAGE",
  "INVALID_RECORD",
  "INVALID_TIMESTAMP",
  "INVALID_TOPIC_EXCEPTION",
  "INVALID_REQUIRED_ACKS",
  "TOPIC_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
  "UNSUPPORTED_VERSION",
  "UNSUPPORTED_FOR_MESSAGE_FORMAT",
  "POLICY_VIOLATION",
  "THROTTLING_QUOTA_EXCEEDED",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
  "INVALID_PRODUCER_EPOCH",
]);

/** The leader moved or is being elected: the same batch may be sent again to the next one. */
const LEADER_MOVED = new Set([
  "UNKNOWN_TOPIC_OR_PARTITION",
  "LEADER_NOT_AVAILABLE",
  "NOT_LEADER_OR_FOLLOWER",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
]);

/** The broker does not know this producer's sequence any more: a new producer id is needed. */
const PRODUCER_FORGOTTEN = new Set([
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
  "INVALID_PRODUCER_EPOCH",
]);

/** What a failed attempt to append a batch says about the log. */
export type AppendFailure = "not-appended" | "leader-moved" | "producer-forgotten" | "unknown";

/** Classifies what a Produce request, once it was handed to a connection, was answered with. */
export function appendFailure(error: unknown): AppendFailure {
  const ids = brokerErrorIds(error);
  if (ids.length === 0 || !ids.every((id) => NOT_APPENDED.has(id))) return "unknown";
  if (ids.some((id) => PRODUCER_FORGOTTEN.has(id))) return "producer-forgotten";
  return ids.some((id) => LEADER_MOVED.has(id)) ? "leader-moved" : "not-appended";
}

/** The names of the protocol errors in an answer; none where the broker did not answer. */
function brokerErrorIds(error: unknown): readonly string[] {
  if (error instanceof MultipleErrors) return error.errors.flatMap(brokerErrorIds);
  const id = brokerErrorId(error);
  return id === null ? [] : [id];
}

/** Wraps what the client threw. */
export function kafkaFault(error: unknown, outcome: FaultOutcome, doing: string): EngineFault {
  if (error instanceof EngineFault) return error;
  return new EngineFault("kafka", outcome, `Kafka failed while ${doing}: ${kafkaReason(error)}`, {
    cause: error,
  });
}
