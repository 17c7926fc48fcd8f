// P: what happens to PostgreSQL: it goes away, loses sessions, fails statements, has no disk left.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { until } from "@stampede/launcher/testing";
import type pg from "pg";
import type { FaultCase } from "../case.ts";
import { answersBetween, PASSERS_BY } from "../course.ts";
import type { CourseStage, Finished } from "../course.ts";
import { marks } from "../marks.ts";
import { MECHANISMS, queues } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { PrivatePlace } from "../places.ts";
import { waitingWriters, withWritesHeld } from "../support/held-row.ts";
import { takeAllConnections } from "../support/postgres-connections.ts";
import { logOf, startInstance, startPrivateEngines } from "../support/private-engines.ts";
import { readStored, withDatabase } from "../support/sale.ts";
import { untilEngine } from "../support/service-state.ts";
import type { Program } from "../../support/program.ts";
import { lostCommitCase } from "./lost-replies.ts";
import { sleepingHolderCase } from "./application-instances.ts";
import { managedFailoverCase } from "./postgres-failover.ts";
import { heldCases } from "./postgres-held.ts";
import { diskCases } from "./disks.ts";
import { slowStatementsCase } from "./network.ts";
import { standbyCase } from "./restored.ts";

type Selling = CourseStage<PrivatePlace>;

/** How long it stays away after the service has noticed. */
const AWAY_MS = 500;
/** How long other sessions hold what they have taken, and COMMIT fails. */
const HELD_MS = 1_000;
const FAILING_MS = 2_000;
const ROUNDS = 3;
/** Whoever finds no session is told so within this time. */
const ANSWER_MS_MAX = 8_000;

export const postgresCases: readonly FaultCase[] = [
  {
    // P1 and P2 are red when v2 reserves while PostgreSQL is away (`postgres.isUp()` in
    // redis-counter/reservation-line.ts: B20), and when v3's door needs the database for an event that it knows
    // (`directory.fresh`).
    id: "P1",
    mechanisms: MECHANISMS,
    injects: "PostgreSQL is stopped (fast) and started again in mid-sale",
    holds: "no row is lost, and nobody is told wrong",
    runs: "proof",
    needs: ["proc"],
    expects: [marks.sessionEnded],
    place: "private",
    course: { inject: async (stage) => goAway(stage, async () => stage.at.postgres.stop()) },
  },
  {
    id: "P2",
    mechanisms: MECHANISMS,
    injects: "SIGKILL of PostgreSQL's postmaster and all its children in mid-sale",
    holds: "no row is lost, and nobody is told wrong",
    runs: "test",
    needs: ["proc"],
    place: "private",
    course: { inject: async (stage) => goAway(stage, async () => stage.at.postgres.kill()) },
  },
  {
    // Red when a transaction that was ended is not begun anew by whoever owes the rows: the reconciler
    // (`new infrastructure.Reconciler` in serve.ts) or the decider (`decideLog`).
    id: "P3",
    mechanisms: MECHANISMS,
    injects: "pg_terminate_backend on every session that holds an event's row, three times",
    holds: "the next one goes on, and no row is lost",
    runs: "proof",
    needs: ["proc"],
    expects: [marks.sessionEnded],
    place: "few connections",
    // It waits for its own writers: nobody else may write then.
    beside: "still",
    course: {
      // Nobody's coupons may be gone before the last of them: whoever writes in batches writes many.
      size: { people: 600, limit: 500, spreadMs: 8_000 },
      async inject({ at, sales, met }) {
        for (let round = 1; round <= ROUNDS; round += 1) {
          await endLockHolders(at.program, sales.length);
          met(marks.sessionEnded);
        }
      },
    },
  },
  lostCommitCase,
  {
    // Red when v2 reserves while no session can be had (`postgres.isUp()` in redis-counter/reservation-line.ts).
    id: "P5",
    mechanisms: MECHANISMS,
    injects: "other sessions hold every connection of PostgreSQL",
    holds: "all are told a sure no in time, but for those who queue on",
    runs: "proof",
    needs: ["proc"],
    expects: [marks.poolExhausted],
    place: "few connections",
    course: {
      // Taking the connections lasts seconds: the sale must not be over before the last one is taken.
      size: { people: 500, limit: 400, spreadMs: 9_000 },
      inject: holdAllConnections,
      after: assertToldInTime,
    },
  },
  sleepingHolderCase,
  ...heldCases,
  ...diskCases,
  {
    // Red when a server's settings are not looked at (`serverRefusal` in engines/postgres/settings.ts).
    id: "P10",
    mechanisms: "nobody",
    injects: "PostgreSQL with fsync off, and with synchronous_commit off, at start-up",
    holds: "the start is refused, and the line says what to change",
    runs: "proof",
    needs: ["proc"],
    place: "own",
    run: async (stage) => startOnUnsafe(stage),
  },
  standbyCase,
  slowStatementsCase,
  {
    // Red when a transaction that was rolled back (class 40) is told as unknown, or not tried again.
    id: "P13",
    mechanisms: MECHANISMS,
    injects: "two of three statements that add coupon issues fail with 40001 or 40P01, for 2 s",
    holds: "all is tried again, and nothing happens twice",
    runs: "all",
    needs: ["proc"],
    expects: ["40001", "40P01"],
    place: "private",
    course: { inject: failInserts, after: assertRollbacksAreKnown },
  },
  {
    // Red when somebody is answered before COMMIT was (`runTransaction` in engines/postgres/open.ts). (COMMIT
    // that succeeds with the tag ROLLBACK: infrastructure/test/postgres/open.test.ts. Nothing but a fault of
    // the service's own brings it about.)
    id: "P14",
    mechanisms: MECHANISMS,
    injects: "every COMMIT that adds a coupon issue is answered by an error",
    holds: "nobody is told issued meanwhile, and all is issued after it",
    runs: "proof",
    needs: ["proc"],
    place: "private",
    course: {
      async inject({ at: { program }, begins, ends }) {
        await administer(program, commitFails);
        begins();
        // The fault itself is a length of time, not a wait for something.
        await pause(HELD_MS);
        ends();
        await administer(program, "DROP FUNCTION fail() CASCADE");
      },
      after(sold) {
        for (const { sale, told, injectedMs, healedMs } of sold) {
          const { issued = 0, unknown = 0 } = answersBetween(told, injectedMs, healedMs);
          assert.equal(issued, 0, sale.mechanism);
          if (queues(sale)) assert.equal(unknown, 0, sale.mechanism);
          // Who came before the fault, or is answered after it, has met it as well.
          const met = told.some(({ outcome }) => outcome === "unknown");
          happened(met || queues(sale), `${sale.mechanism}: no COMMIT met the error`);
        }
      },
    },
  },
  managedFailoverCase,
];

async function goAway(
  { at, passBy, met, sales }: Selling,
  take: () => Promise<void>,
): Promise<void> {
  await take();
  await untilEngine(at.program, "postgres", "down");
  await assertAway(sales, await passBy());
  await pause(AWAY_MS);
  await at.postgres.start();
  if (/terminating connection due to administrator command/.test(logOf(at.postgres))) {
    met(marks.sessionEnded);
  }
}

/** Without PostgreSQL a sure no, but for those who only queue. */
async function assertAway(
  sales: Selling["sales"],
  told: Awaited<ReturnType<Selling["passBy"]>>,
): Promise<void> {
  for (const { sale } of sales) {
    const wanted = queues(sale) ? { queued: PASSERS_BY } : { refused: PASSERS_BY };
    const counts: Record<string, number> = told.get(sale.mechanism) ?? {};
    happened(counts["sold-out"] === undefined, `${sale.mechanism}: the sale was over too early`);
    assert.deepEqual(counts, wanted, sale.mechanism);
  }
}

async function holdAllConnections({ at, sales, passBy, met, ends }: Selling): Promise<void> {
  const holders: pg.Client[] = [];
  try {
    await takeAllConnections(at.postgres.url, holders);
    await untilEngine(at.program, "postgres", "down");
    met(marks.poolExhausted);
    await assertAway(sales, await passBy());
    // The fault itself is a length of time, not a wait for something.
    await pause(HELD_MS);
  } finally {
    await Promise.all(holders.map(async (holder) => holder.end()));
  }
  ends();
}

function assertToldInTime(sold: readonly Finished[]): void {
  for (const { sale, told, injectedMs, healedMs } of sold) {
    const waits = told
      .filter(({ sentMs }) => sentMs >= injectedMs && sentMs < healedMs)
      .map(({ sentMs, returnedMs }) => returnedMs - sentMs);
    assert.ok(Math.max(...waits) < ANSWER_MS_MAX, `${sale.mechanism}: ${Math.max(...waits)} ms`);
  }
}

/**
 * Lets every sale's writer take its event's row and wait for the table behind it, and ends it there,
 * again and again.
 */
async function endLockHolders(program: Program, writers: number): Promise<void> {
  await withWritesHeld(program, writers, async (client) => {
    for (let round = 1; round <= ROUNDS; round += 1) {
      let pids: readonly number[] = [];
      await until(async () => {
        pids = await waitingWriters(client);
        return pids.length >= writers;
      }, "every sale's writer holds its row");
      for (const pid of pids) await client.query("SELECT pg_terminate_backend($1)", [pid]);
      // Whoever is still there was not ended yet, and must not be counted twice.
      await until(async () => {
        const left = await waitingWriters(client);
        return !left.some((pid) => pids.includes(pid));
      }, "they are gone");
    }
  });
}

/** A check that PostgreSQL makes at the very end: the COMMIT that meets it is rolled back. */
const commitFails = `
  CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'planted: this commit fails'; END $$;
  CREATE CONSTRAINT TRIGGER commit_fails AFTER INSERT ON coupon_issues
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();`;

/** A sequence does not roll back: of three statements in a row one succeeds, whoever sends them. */
const insertsFail = `
  CREATE SEQUENCE tries;
  CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      CASE nextval('tries') % 3
        WHEN 0 THEN RAISE EXCEPTION 'planted 40001' USING ERRCODE = '40001';
        WHEN 1 THEN RAISE EXCEPTION 'planted 40P01' USING ERRCODE = '40P01';
        ELSE RETURN NULL;
      END CASE;
    END $$;
  CREATE TRIGGER insert_fails BEFORE INSERT ON coupon_issues
    FOR EACH STATEMENT EXECUTE FUNCTION fail();`;

async function failInserts({ at, sales, notes, begins, ends }: Selling): Promise<void> {
  const issued = async (): Promise<readonly number[]> =>
    Promise.all(sales.map(async ({ sale }) => (await readStored(sale)).issued));
  const before = await issued();
  await administer(at.program, insertsFail);
  begins();
  await pause(FAILING_MS);
  await administer(at.program, "DROP FUNCTION fail() CASCADE; DROP SEQUENCE tries");
  ends();
  const after = await issued();
  for (const [n, { sale }] of sales.entries()) {
    assert.ok(after[n]! > before[n]!, `${sale.mechanism}: the sale went on`);
    for (const state of ["40001", "40P01"]) {
      if (logOf(at.postgres).includes(`planted ${state}`)) notes(sale.mechanism).met(state);
    }
  }
}

function assertRollbacksAreKnown(sold: readonly Finished[]): void {
  for (const { sale, told, injectedMs, healedMs } of sold) {
    const { unknown = 0 } = answersBetween(told, injectedMs, healedMs);
    assert.equal(unknown, 0, `${sale.mechanism}: a rollback is no unknown outcome`);
  }
}

const unsafe = [
  {
    setting: "fsync",
    plant: "ALTER SYSTEM SET fsync = off",
    mend: "ALTER SYSTEM RESET fsync",
  },
  {
    setting: "synchronous_commit",
    plant: "ALTER DATABASE stampede SET synchronous_commit = off",
    mend: "ALTER DATABASE stampede RESET synchronous_commit",
  },
] as const;

async function startOnUnsafe({
  t,
  injected,
}: Pick<CourseStage<unknown>, "t" | "injected">): Promise<void> {
  const engines = await startPrivateEngines(t);
  const set = async (statement: string): Promise<void> => {
    await administer({ databaseUrl: engines.postgres.url }, statement);
    await administer({ databaseUrl: engines.postgres.url }, "SELECT pg_reload_conf()");
  };
  for (const { setting, plant, mend } of unsafe) {
    await set(plant);
    injected();
    await assert.rejects(startInstance(t, engines), (error: Error) => {
      assert.match(error.message, new RegExp(`PostgreSQL runs with ${setting} off`));
      assert.match(error.message, new RegExp(`Set ${setting} = on`));
      return true;
    });
    await set(mend);
  }
  // And once it is mended the same start succeeds: it was the setting that was refused.
  await startInstance(t, engines);
}

async function administer(
  program: Pick<Program, "databaseUrl">,
  statements: string,
): Promise<void> {
  await withDatabase(program, async (client) => client.query(statements));
}
