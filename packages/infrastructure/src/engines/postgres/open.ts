import { EngineFault } from "@stampede/domain";
import type pg from "pg";
import { timed } from "../telemetry.ts";
import type { RoundTrip } from "../telemetry.ts";
import type { Time } from "../time.ts";
import { databaseClock } from "./database-clock.ts";
import type { DatabaseClock } from "./database-clock.ts";
import { pgDriver } from "./driver.ts";
import type {
  Asking,
  ConnectionPool,
  PooledConnection,
  PostgresDriver,
  Session,
} from "./driver.ts";
import { waitingLine } from "./waiting-line.ts";
import { isRetryable, postgresFault, sqlState } from "./faults.ts";
import { refuseUnsafeSettings } from "./settings.ts";

/** Runs one SQL text with `$1` parameters; every text is a constant, so it is prepared once. */
export type Sql = {
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
};

export type Postgres = Sql & {
  /**
   * Runs `run` between BEGIN and COMMIT and answers after the commit. A serialization failure or a
   * deadlock runs all of it again, at most three times. Rejects with `EngineFault`: "not-applied"
   * for whatever fails before COMMIT was sent, "unknown" where the answer to COMMIT was lost. What
   * `run` throws rolls back and is thrown on.
   */
  transaction<Value>(run: (sql: Sql) => Promise<Value>): Promise<Value>;
  /** A connection of one's own, outside the pool, for a session-wide lock. The caller ends it. */
  openSession(settings: Readonly<Record<string, string>>): Promise<Session>;
  readonly clock: DatabaseClock;
  /** The time by which this process works with the database, and all that builds on it. */
  readonly time: Time;
  /** Whether the last contact succeeded; asked anew every second. */
  isUp(): boolean;
  /** Turns away all who wait for a connection, and all who come later: a shutdown's last resort. */
  turnAway(): void;
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
};

const ATTEMPTS_MAX = 3;

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
  const pool = driver.openPool(options.connectionsMax);
  const line = waitingLine({ ...options, permits: options.connectionsMax });
  /** Runs with a connection of the pool, in the order in which callers came. */
  const withConnection = async <Value>(
    run: (client: PooledConnection) => Promise<Value>,
  ): Promise<Value> => {
    if (!(await line.enter())) {
      const message = "no database connection was free in time";
      throw new EngineFault("postgres", "not-applied", message);
    }
    try {
      return await releasing(await connect(pool), run);
    } finally {
      line.leave();
    }
  };
  const clock = databaseClock(async () => readClock(pool), time);
  const postgres: Postgres = {
    query: async (text, values) =>
      withConnection(async (client) => timed(QUERY, async () => runOn(client, text, values))),
    async transaction(run) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await withConnection(async (client) =>
            timed(TRANSACTION, async () => runTransaction(client, run)),
          );
        } catch (error) {
          if (attempt === ATTEMPTS_MAX || !isRetryable(error)) throw error;
          await time.sleep(attempt * 5);
        }
      }
    },
    openSession: async (settings) => openSession(driver, settings),
    clock,
    time,
    isUp: () => clock.isUp(),
    usage: () => ({ open: pool.totalCount, idle: pool.idleCount, waiting: line.waiting() }),
    turnAway: () => line.close(),
    async close() {
      clock.close();
      line.close();
      if (!pool.ended) await pool.end();
    },
    [Symbol.asyncDispose]: async () => postgres.close(),
  };
  try {
    await refuseUnsafeSettings(postgres);
    await clock.measure();
  } catch (error) {
    await postgres.close();
    throw error;
  }
  return postgres;
}

async function readClock(pool: ConnectionPool): Promise<number> {
  const rows = await runOn<{ ms: number }>(
    pool,
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms",
  );
  return rows[0]?.ms ?? Number.NaN;
}

async function openSession(
  driver: PostgresDriver,
  settings: Readonly<Record<string, string>>,
): Promise<Session> {
  try {
    return await driver.openSession(settings);
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
    // A session that answered is clean after ROLLBACK; one that did not is closed by `releasing`.
    if (!(error instanceof EngineFault) || sqlState(error.cause) !== null) {
      await runPlain(client, "ROLLBACK", "not-applied");
    }
    throw error;
  }
  const tag = await runPlain(client, "COMMIT", "unknown");
  // PostgreSQL answers COMMIT of an aborted transaction with success and the tag ROLLBACK (F3).
  if (tag !== "COMMIT") {
    throw new EngineFault("postgres", "not-applied", `COMMIT was answered by ${tag}`);
  }
  return value;
}

async function connect(pool: ConnectionPool): Promise<PooledConnection> {
  try {
    return await pool.connect();
  } catch (error) {
    throw postgresFault(error, "not-applied");
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
    broken = error instanceof EngineFault && sqlState(error.cause) === null;
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
