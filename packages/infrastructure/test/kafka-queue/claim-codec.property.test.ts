// The log is read by whoever replays it, and written by whoever can reach the broker.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Reader, readRecordsBatches } from "@platformatic/kafka";
import type { EventId, UserId } from "@stampede/domain";
import { parseEventId, parseUserId } from "@stampede/domain";
import fc from "fast-check";
import { claimParts, decodeClaim } from "../../src/kafka-queue/log/claim-codec.ts";
import type { ClaimRecord } from "../../src/kafka-queue/log/claim-codec.ts";
import { encodeClaims, recordBytesMax, sealBatch } from "../../src/kafka-queue/log/record-batch.ts";

const eventIds = fc
  .stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/)
  .map((text) => parseEventId(text) as EventId);
const userIds = fc
  .oneof(
    fc.stringMatching(/^[A-Za-z0-9._~@-]{1,64}$/),
    fc.stringMatching(/^[\x21-\x7E]{1,255}$/),
    fc.stringMatching(/^["\\]{1,255}$/),
    fc.constantFrom("\\".repeat(255), '"'.repeat(255)),
  )
  .map((text) => parseUserId(text) as UserId);
const producers = fc.record({
  producerId: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  producerEpoch: fc.nat(32_767),
  sequence: fc.nat(2_147_483_647),
});

const spring = parseEventId("spring") as EventId;
const ana = parseUserId("ana") as UserId;
const claim: ClaimRecord = { eventId: spring, userId: ana };
/** What a record held beside that before the code followed from the event's key. */
const code = "0123456789ABCDEFGHJKMNPQRS";

describe("the record of a claim", () => {
  test("comes back as it was written, through the client's own reader", () => {
    fc.assert(
      fc.property(
        eventIds,
        fc.array(userIds, { minLength: 1, maxLength: 300 }),
        producers,
        (eventId, persons, producer) => {
          const claims = persons.map((userId) => ({ userId, eventId }));
          const batch = encodeClaims(claims);
          const bound = claims.reduce((sum, one) => sum + recordBytesMax(one), 61);
          assert.ok(batch.bytes.length <= bound);
          const [read] = readRecordsBatches(Reader.from(sealBatch(batch, producer)));
          assert.ok(read !== undefined);
          assert.equal(read.producerId, producer.producerId);
          assert.equal(read.producerEpoch, producer.producerEpoch);
          assert.equal(read.firstSequence, producer.sequence);
          assert.equal(read.lastOffsetDelta, claims.length - 1);
          assert.deepEqual(
            read.records.map((record) => record.offsetDelta),
            claims.map((_, index) => index),
          );
          assert.deepEqual(
            read.records.map((record) => decodeClaim(eventId, record)),
            claims.map((one) => ({ kind: "claim", claim: one })),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test("is JSON with the schema's number, and without a code", () => {
    assert.deepEqual(JSON.parse(claimParts(claim).value), { schema: 2, ...claim });
  });

  // Red when all persons are written by schema 2: a build that does not know `auth0|ana` passes such a
  // record by for ever, although the person was told a place in line.
  test("has a newer schema where the person is one that older builds do not know", () => {
    for (const text of ["auth0|ana", "ana+shop@example.com", "u".repeat(65), '"', "\\"]) {
      const userId = parseUserId(text) as UserId;
      const { key, value } = claimParts({ eventId: spring, userId });
      assert.deepEqual(JSON.parse(value), { schema: 3, eventId: spring, userId });
      const record = { key: Buffer.from(key), value: Buffer.from(value) };
      const read = { kind: "claim", claim: { eventId: spring, userId } };
      assert.deepEqual(decodeClaim(spring, record), read);
      const older = { ...record, value: Buffer.from(value.replace('"schema":3', '"schema":2')) };
      assert.equal(decodeClaim(spring, older).kind, "unreadable");
    }
    const named = JSON.stringify({ ...claim, schema: 3 });
    assert.deepEqual(decodeText(named), { kind: "claim", claim });
  });

  test("may be written in another way than ours", () => {
    const spaced = JSON.stringify({ ...claim, more: true, schema: 2 }, null, 1);
    assert.deepEqual(decodeText(spaced), { kind: "claim", claim });
  });

  test("is read as it was written with a code, which is worth nothing", () => {
    const old = decodeText(JSON.stringify({ schema: 1, ...claim, code }));
    assert.deepEqual(old, { kind: "claim", claim });
  });

  test("never makes the reader throw, whatever stands in the log", () => {
    const values = fc.oneof(
      fc.constant(null),
      fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      mutations(),
    );
    const keys = fc.oneof(
      fc.constant(Buffer.from("ana")),
      fc.option(fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes))),
    );
    fc.assert(
      fc.property(keys, values, (key, value) => {
        const decoded = decodeClaim(spring, { key, value });
        if (decoded.kind === "claim") {
          const { userId } = decoded.claim;
          assert.equal(decoded.claim.eventId, spring);
          assert.equal(key?.toString(), userId);
          assert.equal(JSON.parse(String(value)).userId, userId);
        }
        if (decoded.kind === "unreadable") assert.ok(decoded.reason.length > 0);
      }),
      { numRuns: 5_000 },
    );
  });

  const bodies: readonly (readonly [string, unknown])[] = [
    ["another event's claim", { ...claim, schema: 2, eventId: "summer" }],
    ["a person's id without its form", { ...claim, schema: 2, userId: "ana bo" }],
    ["another person than the key's", { ...claim, schema: 2, userId: "bo" }],
    ["an old code without its form", { ...claim, schema: 1, code: "short" }],
    ["an old schema without its code", { ...claim, schema: 1 }],
    ["no schema number", { ...claim }],
    ["a schema number that is none", { ...claim, schema: "1" }],
    ["a list", [claim]],
    ["null as JSON", null],
  ];
  for (const [title, body] of bodies) {
    test(`is unreadable with ${title}`, () => {
      assert.equal(decodeText(JSON.stringify(body)).kind, "unreadable");
    });
  }

  test("is unreadable when it is no JSON, has no value or is far too long", () => {
    assert.equal(decodeText("{").kind, "unreadable");
    assert.equal(decodeText(`${claimParts(claim).value}${" ".repeat(1_024)}`).kind, "unreadable");
    assert.equal(decodeClaim(spring, { key: Buffer.from("ana"), value: null }).kind, "unreadable");
    const { value } = claimParts(claim);
    assert.equal(decodeClaim(spring, { key: null, value: Buffer.from(value) }).kind, "unreadable");
  });

  // Red when a newer record is merely rejected: it would be decided wrongly for ever (A12).
  test("stops a reader that is older than its schema", () => {
    assert.deepEqual(decodeText(JSON.stringify({ schema: 4, whatever: true })), {
      kind: "newer-schema",
      schema: 4,
    });
  });
});

function decodeText(text: string): ReturnType<typeof decodeClaim> {
  return decodeClaim(spring, { key: Buffer.from("ana"), value: Buffer.from(text) });
}

/** A good record with some of its bytes changed. */
function mutations(): fc.Arbitrary<Buffer> {
  const { value } = claimParts(claim);
  const places = fc.array(fc.tuple(fc.nat(value.length - 1), fc.nat(255)), { maxLength: 4 });
  return places.map((changes) => {
    const bytes = Buffer.from(value);
    for (const [position, byte] of changes) bytes[position] = byte;
    return bytes;
  });
}
