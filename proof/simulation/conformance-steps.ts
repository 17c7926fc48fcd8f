// Random steps of two sessions on one event, taken by the service's own functions. A transaction that
// has written only ends: the simulated database does not show a transaction its own writes, and no
// transaction of the service reads what it wrote.
import { EngineFault } from "@stampede/domain";
import type { CouponEvent, CouponIssue, EventId, UserId } from "@stampede/domain";
import {
  issueBatch,
  lockEvent,
  readUnderLock,
} from "@stampede/infrastructure/src/rows/coupon-issues.ts";
import {
  readEvents,
  readIssuesAfter,
  readIssuesOf,
} from "@stampede/infrastructure/src/rows/directory-rows.ts";
import { takeOver } from "@stampede/infrastructure/src/kafka-queue/decider/decide-batch.ts";
import type { PooledConnection } from "@stampede/infrastructure/src/engines/postgres/driver.ts";
import type { Postgres, Sql } from "@stampede/infrastructure/src/engines/postgres/open.ts";
import type { Random } from "./random.ts";

/** More than a sale of these steps has. */
const ISSUES_MAX = 1_000;

/** A database and its time. */
export type Bench = {
  connect(): Promise<PooledConnection>;
  /** What came of it; "waits" where a lock holds it up. */
  settle<Value>(asked: Promise<Value>, expectsToWait: boolean): Promise<Value | "waits">;
};

type Step = {
  readonly session: number;
  readonly action:
    | "BEGIN"
    | "COMMIT"
    | "ROLLBACK"
    | "lock"
    | "issue"
    | "take over"
    | "read"
    | "stale issue";
  readonly persons: readonly UserId[];
  readonly codes: readonly string[];
};

export type Steps = {
  readonly eventId: EventId;
  readonly limit: number;
  readonly list: readonly Step[];
};

export function stepsOf(random: Random, eventId: string): Steps {
  const codes: string[] = [];
  const code = (): string => {
    // Now and then one that was drawn before: a constraint has to speak.
    if (codes.length > 0 && random.chance(0.1)) return random.pick(codes);
    codes.push(random.code());
    return codes.at(-1)!;
  };
  const list = Array.from({ length: 40 }, (): Step => {
    const count = random.whole(1, 3);
    return {
      session: random.whole(0, 1),
      action: random.pick([
        ...([
          "BEGIN",
          "BEGIN",
          "COMMIT",
          "COMMIT",
          "ROLLBACK",
          "lock",
          "lock",
          "issue",
          "issue",
        ] as const),
        ...(["issue", "take over", "read", "stale issue"] as const),
      ]),
      persons: Array.from({ length: count }, () => `p${random.whole(0, 12)}` as UserId),
      codes: Array.from({ length: count }, code),
    };
  });
  return { eventId: eventId as EventId, limit: random.whole(2, 8), list };
}

type Actor = {
  readonly connection: PooledConnection;
  readonly sql: Sql;
  inTransaction: boolean;
  /** It wrote in this transaction: all that is left is to end it, as the service does. */
  hasWritten: boolean;
  /** The event as it was locked in this transaction. */
  locked: CouponEvent | null;
  /** A step that waits for a lock. */
  waiting: Promise<string> | null;
};

/** What each step came to, and what is committed in the end. `expected`: what it was elsewhere. */
export async function runSteps(
  bench: Bench,
  steps: Steps,
  expected: readonly string[] = [],
): Promise<string[]> {
  const actors = [await actorOf(bench), await actorOf(bench)];
  const setUp = await actorOf(bench);
  const outcomes: string[] = [];
  const settle = async (asked: Promise<string>): Promise<string> => {
    const outcome = await bench.settle(asked, expected[outcomes.length] === "waits");
    outcomes.push(outcome);
    return outcome;
  };
  await settle(addEvent(setUp.sql, steps));
  for (const step of steps.list) {
    const actor = actors[step.session]!;
    if (actor.waiting !== null) continue;
    const asked = take(actor, step, steps.eventId).catch(nameOf);
    if ((await settle(asked)) === "waits") actor.waiting = asked;
    // What freed a lock lets the other go on.
    for (const other of actors) {
      if (other.waiting === null || step.action === "read") continue;
      if ((await settle(other.waiting)) !== "waits") other.waiting = null;
    }
  }
  // Whoever holds a lock first, then whoever waited for it.
  for (const actor of [...actors].sort(
    (one, other) => Number(one.waiting !== null) - Number(other.waiting !== null),
  )) {
    if (actor.waiting !== null) await settle(actor.waiting);
    await settle(control(actor, "COMMIT").catch(nameOf));
  }
  await settle(read(setUp.sql, steps.eventId, []));
  for (const { connection } of [...actors, setUp]) connection.release(false);
  return outcomes;
}

async function actorOf(bench: Bench): Promise<Actor> {
  const connection = await bench.connect();
  const sql: Sql = {
    query: async <Row extends Record<string, unknown>>(
      text: string,
      values: readonly unknown[] = [],
    ) => (await connection.query<Row>({ text, values })).rows,
  };
  return { connection, sql, inTransaction: false, hasWritten: false, locked: null, waiting: null };
}

async function addEvent(sql: Sql, { eventId, limit }: Steps): Promise<string> {
  await sql.query(
    `INSERT INTO events (id, name, mechanism, limit_quantity, pace, listed, opens_at, closes_at)
     VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7 / 1000.0), to_timestamp($8 / 1000.0))`,
    [eventId, "A sale", "kafka-queue", limit, null, true, 1_000, null],
  );
  await sql.query("INSERT INTO queues (event_id, topic, topic_id) VALUES ($1, $2, $3)", [
    eventId,
    `topic-${eventId}`,
    "id",
  ]);
  return "added";
}

async function take(actor: Actor, step: Step, eventId: EventId): Promise<string> {
  const { sql } = actor;
  if (actor.hasWritten && step.action !== "COMMIT" && step.action !== "ROLLBACK") return "skipped";
  switch (step.action) {
    case "BEGIN":
      return actor.inTransaction ? "skipped" : control(actor, "BEGIN");
    case "COMMIT":
    case "ROLLBACK":
      return actor.inTransaction ? control(actor, step.action) : "skipped";
    case "read":
      return read(sql, eventId, step.persons);
    case "take over": {
      const taken = await takeOver(sql as Postgres, eventId);
      actor.hasWritten = actor.inTransaction;
      return String(taken?.epoch);
    }
    case "lock": {
      if (!actor.inTransaction) return "skipped";
      actor.locked = await lockEvent(sql, eventId);
      return `locked at ${actor.locked?.issued}`;
    }
    case "issue":
    case "stale issue":
      return issue(actor, step);
  }
}

async function issue(actor: Actor, step: Step): Promise<string> {
  const { sql, locked } = actor;
  if (locked === null) return "skipped";
  const facts = await readUnderLock(sql, locked.id, step.persons);
  const event =
    step.action === "issue" ? locked : { ...locked, issued: Math.max(0, locked.issued - 1) };
  const claims = step.persons.map((userId, index) => ({
    userId,
    code: step.codes[index]!,
    ticket: index,
    door: null,
  }));
  const issued = await issueBatch(sql, event, facts, claims);
  actor.hasWritten = issued.added.length > 0;
  return issued.added.map(({ seq, userId }) => `${seq} ${userId}`).join(", ");
}

async function control(actor: Actor, text: "BEGIN" | "COMMIT" | "ROLLBACK"): Promise<string> {
  actor.inTransaction = text === "BEGIN";
  actor.locked = null;
  actor.hasWritten = false;
  return (await actor.connection.query(text)).command;
}

async function read(sql: Sql, eventId: EventId, persons: readonly UserId[]): Promise<string> {
  const [reading] = await readEvents(sql, [eventId]);
  const rows = await readIssuesAfter(sql, eventId, { seq: 0, count: ISSUES_MAX });
  const pairs = persons.map((userId) => ({ eventId, userId }));
  const own = (await readIssuesOf(sql, pairs)).get(eventId) ?? new Map<UserId, CouponIssue>();
  const text = rows.map(({ seq, userId, code, ticket }) => `${seq} ${userId} ${code} ${ticket}`);
  const { event, queue } = reading!;
  return [
    event.issued,
    event.limit,
    JSON.stringify(queue),
    ...text,
    ...[...own.keys()].sort(),
  ].join("; ");
}

/** An error by what it is called on both sides. */
function nameOf(error: unknown): string {
  if (error instanceof EngineFault) return `fault ${error.outcome}`;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return `error ${code === "" ? String(error) : code}`;
}
