// Transactions of the product that go on step by step, in the order that a test says: before each
// statement that matters they wait for a token. A step that waits for a lock is left waiting, and the
// tokens that it gets meanwhile are used once it has the lock: so every order is one that a scheduler
// could really bring about.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Postgres, Sql } from "@stampede/infrastructure/src/engines/postgres/open.ts";
import { postgresFault } from "@stampede/infrastructure/src/engines/postgres/faults.ts";
import { systemTime } from "@stampede/infrastructure/src/engines/time.ts";
import { isBlocked } from "@stampede/infrastructure/test/support/postgres.ts";

/** Run with the statement before them: no other session can tell the difference. */
const UNSTEPPED =
  /^SELECT \(extract|FROM queues WHERE|UPDATE queues SET (?:next_offset|finished_at)/;
/** What is read under a lock, for fewer steps: others can tell only where the lock does not hold. */
const READ_UNDER_LOCK = /LEFT JOIN coupon_issues i ON i\.event_id = \$1 AND i\.user_id = ANY/;
/** A statement that runs takes less, as a rule; only then PostgreSQL is asked whether it waits. */
const RUNS_MS = 3;
const SETTLED_MS_MAX = 10_000;

export type SteppedSession<Told> = {
  /** Gives one token. */
  readonly grant: () => void;
  readonly state: () => "at a gate" | "running" | "ended";
  readonly pid: number;
  /** What the script gave, or threw; null before its end. */
  readonly outcome: () => PromiseSettledResult<Told> | null;
};

/** Starts a script of the product on this connection; it stops before its first statement. */
export function stepped<Told>(
  { client, pid }: { readonly client: pg.Client; readonly pid: number },
  script: (postgres: Postgres) => Promise<Told>,
  { rewrite, coarse }: { readonly rewrite: (text: string) => string; readonly coarse: boolean },
): SteppedSession<Told> {
  let tokens = 0;
  let release: (() => void) | null = null;
  let outcome: PromiseSettledResult<Told> | null = null;
  const gate = async (): Promise<void> => {
    if (tokens === 0) await new Promise<void>((resolve) => (release = resolve));
    release = null;
    tokens -= 1;
  };
  const run: Sql["query"] = async <Row extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
  ) => {
    try {
      return (await client.query<Row>(rewrite(text), [...values])).rows;
    } catch (error) {
      throw postgresFault(error, "not-applied");
    }
  };
  const isStep = (text: string): boolean =>
    !UNSTEPPED.test(text) && !(coarse && READ_UNDER_LOCK.test(text));
  const query: Sql["query"] = async (text, values) => {
    if (isStep(text)) await gate();
    return run(text, values);
  };
  const postgres = {
    query,
    time: systemTime,
    async transaction<Value>(body: (sql: Sql) => Promise<Value>): Promise<Value> {
      let begun = false;
      const inside: Sql["query"] = async (text, values) => {
        if (isStep(text)) await gate();
        // With its first statement: a transaction that has done nothing yet has no snapshot either.
        if (!begun) await client.query("BEGIN");
        begun = true;
        return run(text, values);
      };
      try {
        const value = await body({ query: inside });
        await gate();
        assert.equal((await client.query("COMMIT")).command, "COMMIT");
        return value;
      } catch (error) {
        // At once, as the product does it: a failed transaction's locks must not stop the others.
        await client.query("ROLLBACK");
        throw error;
      }
    },
  };
  // The scripts use nothing else of it.
  void Promise.allSettled([script(postgres as unknown as Postgres)]).then(([settled]) => {
    outcome = settled;
    return settled;
  });
  return {
    pid,
    grant() {
      tokens += 1;
      release?.();
    },
    state: () => (outcome !== null ? "ended" : release === null ? "running" : "at a gate"),
    outcome: () => outcome,
  };
}

/** Runs the sessions in this order, and then whatever is left of them, to their ends. */
export async function runOrder(
  sessions: readonly SteppedSession<unknown>[],
  order: readonly number[],
  observer: pg.Client,
): Promise<void> {
  await settled(sessions, observer);
  for (const turn of order) {
    sessions[turn]!.grant();
    await settled(sessions, observer);
  }
  while (sessions.some((session) => session.state() !== "ended")) {
    for (const session of sessions) {
      if (session.state() === "at a gate") session.grant();
      await settled(sessions, observer);
    }
  }
}

/** Waits until every session stands at a gate, has ended, or waits for another one's lock. */
async function settled(
  sessions: readonly SteppedSession<unknown>[],
  observer: pg.Client,
): Promise<void> {
  const isRunning = (session: SteppedSession<unknown>): boolean => session.state() === "running";
  const endMs = performance.now() + SETTLED_MS_MAX;
  for (;;) {
    // A token wakes its session in a later turn.
    await new Promise(setImmediate);
    const lookMs = performance.now() + RUNS_MS;
    while (sessions.some(isRunning) && performance.now() < lookMs) await sleep(1);
    const running = sessions.filter(isRunning);
    const waits = [];
    for (const { pid } of running) waits.push(await isBlocked(observer, pid));
    // Whoever ended meanwhile may have given another session its lock.
    if (waits.every(Boolean) && running.every(isRunning)) return;
    assert.ok(performance.now() < endMs, "a step neither ends nor waits for a lock");
  }
}

/** Every order in which sessions of so many steps can meet. */
export function ordersOf(steps: readonly number[]): number[][] {
  if (steps.every((left) => left === 0)) return [[]];
  return steps.flatMap((left, turn) =>
    left === 0 ? [] : ordersOf(steps.with(turn, left - 1)).map((rest) => [turn, ...rest]),
  );
}
