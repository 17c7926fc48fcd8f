import { EngineFault } from "@stampede/domain";
import type pg from "pg";
import { publishFailure, timed } from "../telemetry.ts";
import type { RoundTrip } from "../telemetry.ts";
import type { Time } from "../time.ts";
import { withAdvice } from "./advice.ts";
import { databaseClock } from "./database-clock.ts";
import type { DatabaseClock } from "./database-clock.ts";
import { pgDriver } from "./driver.ts";
import type { Sql } from "./sql.ts";
import type {
  Asking,
  Begin,
  ConnectionPool,
  PooledConnection,
  PostgresDriver,
  Session,
} from "./driver.ts";
import { waitingLine, waitingLines } from "./waiting-line.ts";
import type { Turn, WaitingLine } from "./waiting-line.ts";
import { isGoodbye, isReadOnly, isRetryable, postgresFault } from "./faults.ts";
import { beginning, renewablePool } from "./renewable-pool.ts";
import type { RenewablePool } from "./renewable-pool.ts";
import { serverRefusal, SESSION_FACTS } from "./settings.ts";
import type { SessionFacts, SessionSettings } from "./settings.ts";

export type { Sql } from "./sql.ts";

export type Postgres = Sql & {
  /**
   * Runs `run` between BEGIN and COMMIT and answers after the commit. A serialization failure or a
   * deadlock runs all of it again, at most three times. Rejects with `EngineFault`: "not-applied"
   * for whatever fails before COMMIT was sent, "unknown" where the answer to COMMIT was lost. What
   * `run` throws rolls back and is thrown on. Of one `key` no more run at once than `perKey` allows:
   * the others wait in a line of their own, and take no connection.
   */
  transaction<Value>(run: (sql: Sql) => Promise<Value>, key?: string): Promise<Value>;
  /** A connection of one's own, outside the pool, for a session-wide lock. The caller ends it. */
  openSession(settings: SessionSettings): Promise<Session>;
  /** Ends every connection, those in use when they are given back; the next ones are new. */
  renew(): void;
  readonly clock: DatabaseClock;
  /** The time by which this process works with the database, and all that builds on it. */
  readonly time: Time;
  /** Whether the last contact succeeded; asked anew every second. */
  isUp(): boolean;
  /** Turns away all who wait for a connection, and all who come later: a shutdown's last resort. */
  turnAway(): void;
  /** Callers that wait for their turn among those of their `key`. */
  waitingByKey(): Iterable<readonly [key: string, waiting: number]>;
  usage(): { readonly open: number; readonly idle: number; readonly waiting: number };
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type PostgresOptions = PoolOptions & { readonly url: string };

export type PoolOptions = {
  readonly time: Time;
  /** Connections at most. */
  readonly connectionsMax: number;
  /** Callers that may wait for a connection; one more is turned away. */
  readonly waitersMax: number;
  /** How long a caller waits for a connection before it is turned away. */
  readonly waitMsMax: number;
  /**
   * Another pool of this process on the same server: what that one has found to be away is away for this
   * one too, from the same moment on. Each asks for itself as well, and so keeps a connection at least.
   */
  readonly beside?: { readonly isUp: () => boolean };
  /** Told when a server that was used may not be used any more: other pools have its connections too. */
  readonly onDemoted?: () => void;
  /** Transactions of one key at once, and callers that may wait for their turn among them. */
  readonly perKey?: { readonly permits: number; readonly waitersMax: number };
};

const ATTEMPTS_MAX = 3;

const READ_CLOCK = `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms, ${SESSION_FACTS}`;

const QUERY: RoundTrip = { engine: "postgres", operation: "query" };
const TRANSACTION: RoundTrip = { engine: "postgres", operation: "transaction" };

/** Opens a pool and checks that this database keeps what it acknowledges. */
export async function openPostgres(options: PostgresOptions): Promise<Postgres> {
  return openPostgresWith(pgDriver(options.url), options);
}

/** The same over any driver. */
export async function openPostgresWith(
  driver: PostgresDriver,
  options: PoolOptions,
): Promise<Postgres> {
  const { time } = options;
  const connections = renewablePool(driver, options, () => {
    clock.lose();
    options.onDemoted?.();
  });
  const line = waitingLine({ ...options, permits: options.connectionsMax });
  // A probe that is late on a busy machine is not enough: whoever connects must have failed as well.
  let connectFailed = false;
  const isAway = (): boolean => connectFailed && !postgres.isUp();
  const withConnection = connectionsOf(connections, {
    line,
    isAway,
    onConnect: (succeeded) => {
      connectFailed = !succeeded;
    },
  });
  const lines = waitingLines({ ...options, ...(options.perKey ?? { permits: Infinity }) });
  const untilMs = (): number => time.nowMs() + options.waitMsMax;
  const clock = databaseClock(async () => readClock(connections), time);
  const postgres: Postgres = {
    query: async (text, values) =>
      withConnection(untilMs(), async (client) =>
        timed(QUERY, async () => runOn(client, text, values)),
      ),
    async transaction(run, key) {
      // One deadline for all that it waits for.
      const deadlineMs = untilMs();
      const tryIt = async () =>
        repeated(time, async () =>
          withConnection(deadlineMs, async (client) =>
            timed(TRANSACTION, async () => runTransaction(client, run)),
          ),
        );
      if (key === undefined) return tryIt();
      return inTurn(lines.of(key), { untilMs: deadlineMs, isAway }, tryIt);
    },
    openSession: async (settings) => openSession(driver, beginning(settings)),
    renew: () => connections.renew(),
    clock,
    time,
    isUp: () => clock.isUp() && (options.beside?.isUp() ?? true),
    waitingByKey: () => lines.waitingByKey(),
    usage: () => ({
      open: connections.current().totalCount,
      idle: connections.current().idleCount,
      waiting: line.waiting() + lines.waiting(),
    }),
    turnAway() {
      lines.close();
      line.close();
    },
    async close() {
      clock.close();
      postgres.turnAway();
      await connections.close();
    },
    [Symbol.asyncDispose]: async () => postgres.close(),
  };
  try {
    await clock.measure();
  } catch (error) {
    await postgres.close();
    throw withAdvice(error);
  }
  return postgres;
}

/** Again, at most three times in all, what the server has rolled back. */
async function repeated<Value>(time: Time, run: () => Promise<Value>): Promise<Value> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isRetryable(error)) throw error;
      await time.sleep(attempt * 5);
    }
  }
}

function notInTime(): EngineFault {
  return new EngineFault("postgres", "not-applied", "no database connection was free in time");
}

type Connecting = {
  readonly line: WaitingLine;
  readonly isAway: () => boolean;
  readonly onConnect: (succeeded: boolean) => void;
};

/** Runs with a connection of the pool of then, in the order in which callers came. */
function connectionsOf(connections: RenewablePool, { line, isAway, onConnect }: Connecting) {
  return async <Value>(
    untilMs: number,
    run: (client: PooledConnection) => Promise<Value>,
  ): Promise<Value> =>
    inTurn(line, { untilMs, isAway }, async () => {
      const pool = connections.current();
      try {
        return await releasing(await connect(pool, onConnect), run);
      } catch (error) {
        if (isReadOnly(error)) connections.leave(pool);
        throw error;
      }
    });
}

/**
 * Whoever had to wait tries no server that was found to be away meanwhile: each of a long line would
 * wait for those before it to find that out once more.
 */
async function inTurn<Value>(
  turn: Turn,
  { untilMs, isAway }: { readonly untilMs: number; readonly isAway: () => boolean },
  run: () => Promise<Value>,
): Promise<Value> {
  const waits = !turn.isFree();
  if (!(await turn.enter(untilMs))) throw notInTime();
  try {
    if (waits && isAway()) throw new EngineFault("postgres", "not-applied", "PostgreSQL is away");
    return await run();
  } finally {
    turn.leave();
  }
}

/** What is read every second tells, too, whether the server may still be used. */
async function readClock(connections: RenewablePool): Promise<number> {
  const pool = connections.current();
  const [row] = await runOn<{ ms: number } & SessionFacts>(pool, READ_CLOCK);
  const refusal = serverRefusal(row);
  if (refusal === null) return row?.ms ?? Number.NaN;
  connections.leave(pool);
  throw refusal;
}

async function openSession(driver: PostgresDriver, begin: Begin): Promise<Session> {
  try {
    return await driver.openSession(begin);
  } catch (error) {
    throw postgresFault(error, "not-applied");
  }
}

async function runTransaction<Value>(
  client: PooledConnection,
  run: (sql: Sql) => Promise<Value>,
): Promise<Value> {
  const sql: Sql = { query: async (text, values) => runOn(client, text, values) };
  await runPlain(client, "BEGIN", "not-applied");
  let value: Value;
  try {
    value = await run(sql);
  } catch (error) {
    // A session that answered is clean after ROLLBACK; one that is over is closed by `releasing`.
    if (!isGoodbye(error)) {
      await runPlain(client, "ROLLBACK", "not-applied");
    }
    throw error;
  }
  const tag = await runPlain(client, "COMMIT", "unknown");
  // PostgreSQL answers COMMIT of an aborted transaction with success and the tag ROLLBACK (F3).
  if (tag !== "COMMIT") {
    throw new EngineFault("postgres", "not-applied", `PostgreSQL answered COMMIT with ${tag}`);
  }
  return value;
}

async function connect(
  pool: ConnectionPool,
  onConnect: Connecting["onConnect"],
): Promise<PooledConnection> {
  try {
    const client = await pool.connect();
    onConnect(true);
    return client;
  } catch (error) {
    onConnect(false);
    const fault = postgresFault(error, "not-applied");
    publishFailure("connection", fault);
    throw fault;
  }
}

/** Gives the connection back, or closes it where an answer is missing: it may come late. */
async function releasing<Value>(
  client: PooledConnection,
  run: (client: PooledConnection) => Promise<Value>,
): Promise<Value> {
  let broken = false;
  try {
    return await run(client);
  } catch (error) {
    broken = isReadOnly(error) || isGoodbye(error);
    throw error;
  } finally {
    client.release(broken);
  }
}

const statementNames = new Map<string, string>();

async function runOn<Row extends pg.QueryResultRow>(
  client: Asking,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  let name = statementNames.get(text);
  if (name === undefined) {
    name = `s${statementNames.size + 1}`;
    statementNames.set(text, name);
  }
  try {
    const result = await client.query<Row>({ name, text, values });
    return result.rows;
  } catch (error) {
    throw postgresFault(error, "not-applied");
  }
}

async function runPlain(
  client: PooledConnection,
  text: "BEGIN" | "COMMIT" | "ROLLBACK",
  outcome: "not-applied" | "unknown",
): Promise<string> {
  try {
    return (await client.query(text)).command;
  } catch (error) {
    throw postgresFault(error, outcome);
  }
}
