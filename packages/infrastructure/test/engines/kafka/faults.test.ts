import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MultipleErrors, NetworkError, ProtocolError, TimeoutError } from "@platformatic/kafka";
import { appendFailure, kafkaFault } from "../../../src/engines/kafka/faults.ts";

describe("a batch that was not acknowledged", () => {
  // Red when an error that follows the append counts as a refusal (B32).
  for (const id of [
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "REQUEST_TIMED_OUT",
    "KAFKA_STORAGE_ERROR",
  ]) {
    test(`may be in the log after ${id}`, () => {
      assert.equal(appendFailure(answer(id)), "unknown");
    });
  }

  test("may be in the log after a lost connection, a timeout or anything unforeseen", () => {
    assert.equal(appendFailure(new NetworkError("Connection closed")), "unknown");
    assert.equal(appendFailure(new TimeoutError("Request timed out")), "unknown");
    assert.equal(appendFailure(new TypeError("a bug")), "unknown");
    assert.equal(appendFailure(answer("NOT_ENOUGH_REPLICAS", "REQUEST_TIMED_OUT")), "unknown");
  });

  test("is certainly not in the log when the leader refused it", () => {
    assert.equal(appendFailure(answer("NOT_ENOUGH_REPLICAS")), "not-appended");
    assert.equal(appendFailure(answer("MESSAGE_TOO_LARGE")), "not-appended");
    assert.equal(appendFailure(answer("NOT_LEADER_OR_FOLLOWER")), "leader-moved");
    assert.equal(appendFailure(answer("UNKNOWN_TOPIC_OR_PARTITION")), "leader-moved");
    assert.equal(appendFailure(answer("OUT_OF_ORDER_SEQUENCE_NUMBER")), "producer-forgotten");
  });

  test("is told with what the broker said, and with its cause", () => {
    const error = answer("NOT_ENOUGH_REPLICAS");
    const fault = kafkaFault(error, "not-applied", "appending claims");
    assert.equal(fault.message, "Kafka failed while appending claims: NOT_ENOUGH_REPLICAS");
    assert.equal(fault.cause, error);
    assert.equal(kafkaFault(fault, "unknown", "anything"), fault);
  });
});

function answer(...ids: readonly string[]): MultipleErrors {
  return new MultipleErrors(
    "Received response with error",
    ids.map((id) => new ProtocolError(id)),
  );
}
