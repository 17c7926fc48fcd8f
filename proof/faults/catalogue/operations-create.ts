// O5: SIGKILL of the service at each step of POST /events. Whatever became of it, the operator may
// repeat: 201, or 409 because the event is there; and each event that is there takes claims.
//
// Red when an event is committed before what it needs exists (`prepared.record` outside its
// transaction in rows/event-store.ts), or when nobody opens in Redis what a dead maker left shut (`#open` in
// redis-counter/reservation-line.ts and the reconciler, both).
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { until } from "@stampede/launcher/testing";
import type pg from "pg";
import { startProgram } from "../../support/program.ts";
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { decidesInRow, MECHANISMS } from "../mechanisms.ts";
import type { Mechanism } from "../mechanisms.ts";
import { makeEvent, readEvent, saleOf } from "../support/operations.ts";
import type { EventWanted } from "../support/operations.ts";
import { claimAtOnce, people, withDatabase } from "../support/sale.ts";

const LIMIT = 2;
const PEOPLE = 3;
/** Kills at moments that the seed chooses, beside those at the steps that can be held. */
const KILLS = 3;
const MAKERS = 3;
const MOMENT_MS_MAX = 80;
/** Events that are tried out at the same time. */
const TRIED_AT_ONCE = 6;

/** A step that a lock of ours keeps the transaction in. */
type Step = {
  readonly title: string;
  readonly lock: string;
  /** Whose makers wait there; the others' events are made in peace. */
  readonly held: readonly Mechanism[];
  readonly isThereAfter: boolean;
};

const steps: readonly Step[] = [
  {
    title: "its topic is there and its row is not",
    lock: "LOCK TABLE events IN EXCLUSIVE MODE",
    held: MECHANISMS,
    isThereAfter: false,
  },
  {
    title: "its row is written and its queue or generation is not",
    lock: "LOCK TABLE queues, redis_generations IN EXCLUSIVE MODE",
    held: MECHANISMS.filter((mechanism) => !decidesInRow({ mechanism })),
    isThereAfter: false,
  },
  {
    title: "COMMIT is sent: it is not open in Redis, and nobody is told",
    lock: "LOCK TABLE commit_gate IN ACCESS EXCLUSIVE MODE",
    held: MECHANISMS,
    isThereAfter: true,
  },
];

type Making = EventWanted & { told: number | null };

const UNTOLD = "an event was made and nobody was told";
const NOT_MADE = "an event was not made";

export const createCase: FaultCase = {
  id: "O5",
  mechanisms: MECHANISMS,
  injects: "SIGKILL of the service at the steps of POST /events, and at moments in between",
  holds: "the operator may repeat it, and each event that is there takes claims",
  runs: "proof",
  expects: [UNTOLD, NOT_MADE],
  place: "own",
  async run(stage) {
    const program = await startProgram(stage.t);
    await gateCommits(program);
    const tried: Making[] = [];
    for (const step of steps) {
      const makings = wantedBy(stage, 1);
      await killAtStep(program, step, makings);
      stage.injected();
      await program.restart();
      for (const making of makings) {
        const isThere = (await readEvent(program, making.id)) !== null;
        const expected = step.held.includes(making.mechanism) ? step.isThereAfter : true;
        assert.equal(isThere, expected, `${making.mechanism}: killed when ${step.title}`);
      }
      await repeatAll(stage, program, makings);
      tried.push(...makings);
    }
    for (let kill = 0; kill < KILLS; kill += 1) {
      const makings = wantedBy(stage, MAKERS);
      await killAtMoment(stage, program, makings);
      stage.injected();
      await program.restart();
      await repeatAll(stage, program, makings);
      tried.push(...makings);
    }
    const lanes = Array.from({ length: TRIED_AT_ONCE }, async () => {
      for (let making = tried.shift(); making !== undefined; making = tried.shift()) {
        await tryOut(stage, program, making);
      }
    });
    await Promise.all(lanes);
  },
};

function wantedBy({ mechanisms }: Stage, each: number): Making[] {
  return mechanisms.flatMap((mechanism) =>
    people(each).map((name) => ({ id: `made-${name}`, mechanism, limit: LIMIT, told: null })),
  );
}

/** Each transaction that makes an event passes a gate at its COMMIT, which this case can shut. */
async function gateCommits(program: Program): Promise<void> {
  await withDatabase(program, async (client) => {
    await client.query(
      `CREATE TABLE commit_gate ();
       CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         PERFORM FROM commit_gate;
         RETURN NULL;
       END $$;
       CREATE CONSTRAINT TRIGGER pass_gate AFTER INSERT ON events
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pass_gate()`,
    );
  });
}

async function killAtStep(
  program: Program,
  { title, lock, held }: Step,
  makings: readonly Making[],
): Promise<void> {
  await withDatabase(program, async (client) => {
    await client.query("BEGIN");
    await client.query(lock);
    const making = makings.map(async (one) => make(program, one));
    const free = makings.filter(({ mechanism }) => !held.includes(mechanism));
    await until(
      async () => (await waiting(client)) >= held.length && free.every(({ told }) => told === 201),
      `${held.length} makers wait where ${title}`,
    );
    await program.kill();
    await Promise.all(making);
    await client.query("ROLLBACK");
    // What they had sent is done or undone by PostgreSQL, with nobody there any more.
    await until(async () => (await sessionsOf(client)) === 0, "the dead maker's sessions are gone");
  });
}

/** The makers come at any time before the kill: each is met in another step. */
async function killAtMoment(
  { pick, random }: Stage,
  program: Program,
  makings: readonly Making[],
): Promise<void> {
  const killMs = pick(1, MOMENT_MS_MAX);
  const making = makings.map(async (one) => {
    await pause(random() * killMs);
    await make(program, one);
  });
  await pause(killMs);
  await program.kill();
  await Promise.all(making);
}

async function make(program: Program, making: Making): Promise<void> {
  const { id, mechanism, limit } = making;
  try {
    const { status, problem } = await makeEvent(program, { id, mechanism, limit });
    assert.equal(status, 201, problem ?? "");
    making.told = status;
  } catch (error) {
    // The kill cut the answer off: whether the event is there is the question of this case.
    if (error instanceof assert.AssertionError) throw error;
  }
}

/** Whoever was told 201 was told the truth; for everybody else a repetition gives a clear answer. */
async function repeatAll(
  stage: Stage,
  program: Program,
  makings: readonly Making[],
): Promise<void> {
  for (const { told, id, mechanism, limit } of makings) {
    const isThere = (await readEvent(program, id)) !== null;
    if (told === 201) assert.ok(isThere, `${mechanism}: ${id} was told to be there`);
    else stage.notes(mechanism).met(isThere ? UNTOLD : NOT_MADE);
    const { status, problem } = await makeEvent(program, { id, mechanism, limit });
    assert.equal(status, isThere ? 409 : 201, `${mechanism}: ${problem}`);
    if (isThere) assert.equal(problem, "event-exists");
  }
}

/** The event takes claims: exactly its limit is issued, and the referee finds nothing. */
async function tryOut(stage: Stage, program: Program, { id, mechanism }: Making): Promise<void> {
  const event = await readEvent(program, id);
  assert.ok(event !== null);
  assert.equal(event.issued, 0);
  const sale = saleOf(program, event);
  const told = await claimAtOnce(sale, people(PEOPLE));
  assert.deepEqual(
    told.filter(({ outcome }) => outcome === "refused" || outcome === "unknown"),
    [],
    `${mechanism}: ${id} takes claims`,
  );
  await finish(stage, sale, told);
}

/** Makers that wait for a lock; a decider that takes over a queue may wait there too. */
async function waiting(client: pg.Client): Promise<number> {
  return sessionsOf(
    client,
    "cardinality(pg_blocking_pids(pid)) > 0 AND query ~* '^(insert|commit)'",
  );
}

async function sessionsOf(client: pg.Client, which = "true"): Promise<number> {
  // Its statistics would stay as they were first seen within our transaction.
  await client.query("SELECT pg_stat_clear_snapshot()");
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'stampede' AND ${which}`,
  );
  return rows[0]!.count;
}
