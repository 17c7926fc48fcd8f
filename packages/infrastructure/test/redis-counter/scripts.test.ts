// The scripts alone, on a real Redis: what the door may say, against the rule that all mechanisms
// share (`decideClaim`). Red when claim.lua does not look for the person first, or counts past the
// limit; when rebuild.lua does not compare token or count (B17); when delete.lua does not compare what
// it is told.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { decideClaim, parseEventId } from "@stampede/domain";
import type { CouponIssue, EventId, UserId } from "@stampede/domain";
import fc from "fast-check";
import { openRedis } from "../../src/engines/redis/open.ts";
import type { RedisSession } from "../../src/engines/redis/open.ts";
import {
  claimScript,
  deleteKeys,
  keysOf,
  merge,
  stampOf,
  readState,
  rebuildStep,
  reserve,
} from "../../src/redis-counter/scripts.ts";
import { missing, testEngine } from "@stampede/launcher/testing";
import { person } from "../support/sale.ts";
import { systemTime } from "../../src/engines/time.ts";

describe("the scripts of v2", { skip: missing("redis") }, () => {
  test("say yours only where the rule issues or replays, and else that the rows have to tell", async (t) => {
    const session = await openSession(t);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(
          fc.oneof(
            { weight: 6, arbitrary: fc.array(fc.nat(7), { minLength: 1, maxLength: 5 }) },
            { weight: 3, arbitrary: fc.constant("commit" as const) },
            { weight: 1, arbitrary: fc.constant("raise" as const) },
          ),
          { maxLength: 25 },
        ),
        async (limit, steps) => playSale(session, limit, steps),
      ),
      { numRuns: 300 },
    );
  });

  test("answer closed for another generation and another run, and change nothing", async (t) => {
    const session = await openSession(t);
    const eventId = await openEvent(session);
    for (const stamp of [stampOf("other", session.runId), stampOf("first", "other"), "", ":"]) {
      const claim = { eventId, stamp, limit: 3, userIds: [person(1)] };
      assert.equal(await reserve(session, claim), "closed");
      assert.equal(await merge(session, claim), "closed");
    }
    assert.equal((await readState(session, eventId)).held, 0);
  });

  test("refuse an invalid limit before anything is written", async (t) => {
    const session = await openSession(t);
    const eventId = await openEvent(session);
    const { state, persons, count } = keysOf(eventId);
    for (const limit of ["0", "-1", "1.5", "many", ""]) {
      const args = [stampOf("first", session.runId), limit, person(1)];
      await assert.rejects(session.run(claimScript, [state, persons, count], args));
    }
    assert.equal((await readState(session, eventId)).held, 0);
    assert.equal(await session.send("GET", count), "0", "no number is burnt");
  });

  // B9. Red when counting and reserving are two commands: others count between them.
  test("give each number once to persons who ask over two connections at once", async (t) => {
    const sessions = [await openSession(t), await openSession(t)];
    const eventId = await openEvent(sessions[0]!);
    // Fewer than either connection asks for: whichever is quicker, its own claims are under way at once.
    const stamp = stampOf("first", sessions[0]!.runId);
    const all = await Promise.all(
      Array.from({ length: 20 }, async (_, n) =>
        answersOf(sessions[n % 2]!, { eventId, stamp, limit: 5, userIds: [person(n)] }),
      ),
    );
    const numbers = all.flat().filter((answer) => answer !== "wait");
    assert.deepEqual(
      numbers.sort((one, other) => one - other),
      Array.from({ length: 5 }, (_, n) => n + 1),
    );
  });

  test("would keep the first write of a script that fails at its second command (F6)", async (t) => {
    const session = await openSession(t);
    const key = `stampede:{f6-${randomBytes(4).toString("hex")}}`;
    const script = "redis.call('SET', KEYS[1], '1') return redis.call('HGET', KEYS[1], 'x')";
    await assert.rejects(session.send("EVAL", script, "1", key), /WRONGTYPE/);
    assert.equal(await session.send("GETDEL", key), "1");
  });

  test("are loaded again where Redis has forgotten them (R10)", async (t) => {
    const session = await openSession(t);
    const eventId = await openEvent(session);
    await session.send("SCRIPT", "FLUSH");
    const stamp = stampOf("first", session.runId);
    const claim = { eventId, stamp, limit: 3, userIds: [person(1), person(2), person(1)] };
    assert.deepEqual(await reserve(session, claim), [1, 2, -1]);
  });

  test("keep keys of one event in one hash tag and let none expire", async (t) => {
    const session = await openSession(t);
    const eventId = await openEvent(session);
    const stamp = stampOf("first", session.runId);
    await reserve(session, { eventId, stamp, limit: 3, userIds: [person(1)] });
    const keys = Object.values(keysOf(eventId));
    for (const key of keys) assert.ok(key.startsWith(`stampede:{${eventId}}:`));
    assert.equal(await session.send("TTL", keysOf(eventId).state), -1);
    assert.equal(await session.send("TTL", keysOf(eventId).persons), -1);
  });
});

describe("the rebuilding of v2", { skip: missing("redis") }, () => {
  test("changes nothing for a builder whose work another has taken over", async (t) => {
    const session = await openSession(t);
    const eventId = await openEvent(session);
    const seen = stampOf("first", session.runId);
    assert.ok(await rebuildStep(session, eventId, ["begin", "slow", seen]));
    assert.ok(await rebuildStep(session, eventId, ["begin", "quick", seen]));
    assert.equal(await rebuildStep(session, eventId, ["add", "slow", person(1)]), false);
    assert.equal(await rebuildStep(session, eventId, ["open", "slow", "slow:1", "0"]), false);
    assert.ok(await rebuildStep(session, eventId, ["add", "quick", person(1), person(2)]));
    assert.ok(await rebuildStep(session, eventId, ["open", "quick", "quick:1", "2"]));
    // The slow one saw the stamp from before: it may not begin again either.
    assert.equal(await rebuildStep(session, eventId, ["begin", "slow", seen]), false);
    assert.equal((await readState(session, eventId)).stamp, "quick:1");
  });

  test("lets Redis count only when every row is there (B17)", async (t) => {
    const session = await openSession(t);
    const eventId = await openEvent(session);
    const seen = stampOf("first", session.runId);
    await rebuildStep(session, eventId, ["begin", "next", seen]);
    await rebuildStep(session, eventId, ["add", "next", person(1)]);
    assert.equal(await rebuildStep(session, eventId, ["open", "next", "next:1", "2"]), false);
    assert.equal((await readState(session, eventId)).stamp, seen);
  });

  test("takes over nothing that was left under the same id (O6)", async (t) => {
    const session = await openSession(t);
    const eventId = await openEvent(session);
    const old = stampOf("first", session.runId);
    const claim = { eventId, limit: 1, userIds: [person(1)] };
    await reserve(session, { ...claim, stamp: old });
    await rebuildStep(session, eventId, ["begin", "new", old]);
    await rebuildStep(session, eventId, ["open", "new", "new:1", "0"]);
    assert.deepEqual(await reserve(session, { ...claim, stamp: "new:1" }), [1]);
  });
});

describe("the deleting of v2", { skip: missing("redis") }, () => {
  test("leaves nothing where Redis is as it was seen, and is the same when it is done twice", async (t) => {
    const session = await openSession(t);
    const eventId = await openEvent(session);
    const stamp = stampOf("first", session.runId);
    await reserve(session, { eventId, stamp, limit: 3, userIds: [person(1)] });
    await rebuildStep(session, eventId, ["begin", "dead", stamp]);
    await rebuildStep(session, eventId, ["add", "dead", person(1)]);
    const seen = await readState(session, eventId);
    assert.ok(await deleteKeys(session, eventId, seen));
    assert.equal(await session.send("EXISTS", ...Object.values(keysOf(eventId))), 0);
    assert.equal(await deleteKeys(session, eventId, seen), false);
    assert.ok(await deleteKeys(session, eventId, { stamp: null, held: 0 }));
    assert.equal(
      await reserve(session, { eventId, stamp, limit: 3, userIds: [person(2)] }),
      "closed",
    );
    assert.equal(await rebuildStep(session, eventId, ["add", "dead", person(2)]), false);
  });

  test("deletes nothing where somebody reserved since, or counting began anew", async (t) => {
    const session = await openSession(t);
    const eventId = await openEvent(session);
    const stamp = stampOf("first", session.runId);
    const claim = { eventId, stamp, limit: 3 };
    await reserve(session, { ...claim, userIds: [person(1)] });
    const seen = await readState(session, eventId);
    await reserve(session, { ...claim, userIds: [person(2)] });
    assert.equal(await deleteKeys(session, eventId, seen), false);
    await rebuildStep(session, eventId, ["begin", "next", stamp]);
    await rebuildStep(session, eventId, ["add", "next", person(1)]);
    await rebuildStep(session, eventId, ["open", "next", "next:1", "1"]);
    assert.equal(await deleteKeys(session, eventId, seen), false);
    assert.equal((await readState(session, eventId)).held, 1);
  });
});

/** One sale on the script, with rows that are committed one by one, as a writer would. */
async function playSale(
  session: RedisSession,
  limitAtFirst: number,
  steps: readonly (readonly number[] | "commit" | "raise")[],
): Promise<void> {
  const eventId = await openEvent(session);
  const stamp = stampOf("first", session.runId);
  const rows = new Map<UserId, CouponIssue>();
  const reserved: UserId[] = [];
  let limit = limitAtFirst;
  for (const step of steps) {
    if (step === "raise") {
      if (rows.size < limit) limit += 1;
    } else if (step === "commit") {
      const next = reserved.find((userId) => !rows.has(userId));
      if (next === undefined) continue;
      rows.set(next, issueOf(eventId, next, rows.size + 1));
    } else {
      const userIds = step.map(person);
      const answers = await answersOf(session, { eventId, stamp, limit, userIds });
      for (const [index, userId] of userIds.entries()) {
        const answer = answers[index]!;
        const mine = rows.get(userId) ?? null;
        const rule = decideClaim({ limit, issued: rows.size, mine, door: null });
        const isKnown = reserved.includes(userId);
        if (answer === "wait") assert.ok(!isKnown && reserved.length >= limit);
        else assert.ok(rule.ok, "yours only where the rule does not refuse");
        if (typeof answer === "number") assert.equal(answer < 0, isKnown);
        if (typeof answer === "number" && !isKnown) reserved.push(userId);
      }
      assert.ok(reserved.length <= limit, "never more reservations than the limit");
    }
  }
}

async function answersOf(
  session: RedisSession,
  claim: Parameters<typeof reserve>[1],
): Promise<Exclude<Awaited<ReturnType<typeof reserve>>, "closed">> {
  const answers = await reserve(session, claim);
  assert.ok(answers !== "closed");
  return answers;
}

async function openSession(t: TestContext): Promise<RedisSession> {
  const redis = await openRedis({
    url: testEngine("redis"),
    time: systemTime,
    random: Math.random,
  });
  t.after(async () => redis.close());
  return redis.session();
}

/** An event that Redis counts for, in the generation "first". */
async function openEvent(session: RedisSession): Promise<EventId> {
  const eventId = parseEventId(`script-${randomBytes(5).toString("hex")}`);
  assert.ok(eventId !== null);
  const stamp = stampOf("first", session.runId);
  await rebuildStep(session, eventId, ["begin", "first", ""]);
  assert.ok(await rebuildStep(session, eventId, ["open", "first", stamp, "0"]));
  return eventId;
}

function issueOf(eventId: EventId, userId: UserId, seq: number): CouponIssue {
  return { eventId, userId, seq, code: "0".repeat(26), issuedAtMs: 0, ticket: null };
}
