// What the adapter needs of a PostgreSQL driver, and `pg` as one. Everything that must be right
// stands above this line (the COMMIT's tag, what an error means, what is repeated), so that a
// simulated database below it runs the same code.
import { Socket } from "node:net";
import { callbackify } from "node:util";
import type pg from "pg";
import { Client, Pool } from "pg";
import { readAddress } from "./address.ts";
import type { Address } from "./address.ts";

export type Statement =
  | string
  | {
      readonly name?: string;
      readonly text: string;
      readonly values: readonly unknown[];
      /** Milliseconds, where another deadline than the connection's holds for the answer. */
      readonly query_timeout?: number;
    };

/** Run on every new connection before anybody gets it; one that it rejects for is closed. */
export type Begin = (session: Asking) => Promise<void>;

export type Answer<Row> = { readonly rows: Row[]; readonly command: string };

export type Asking = {
  /** Rejects with the server's error, which has a severity, or with whatever ended the connection. */
  query<Row extends pg.QueryResultRow>(statement: Statement): Promise<Answer<Row>>;
};

export type PooledConnection = Asking & {
  /** Back to the pool, or closed where it is broken. */
  release(broken: boolean): void;
};

export type ConnectionPool = Asking & {
  connect(): Promise<PooledConnection>;
  readonly totalCount: number;
  readonly idleCount: number;
  readonly ended: boolean;
  end(): Promise<void>;
};

export type Session = Asking & {
  once(happening: "end" | "error", listener: (error?: unknown) => void): void;
  end(): Promise<void>;
};

export type PostgresDriver = {
  /** To connect rejects as `begin` does. */
  openPool(connectionsMax: number, begin: Begin): ConnectionPool;
  /** Rejects with what ended the attempt. */
  openSession(begin: Begin): Promise<Session>;
};

export const CONNECT_MS_MAX = 3_000;
export const LOCK_MS_MAX = 4_000;
/** A wait for a row is two waits, each with the lock's deadline: only this one bounds both. */
export const STATEMENT_MS_MAX = 4_400;
/**
 * Longer than any statement: where a stopped process holds a row, its sessions that wait for the same
 * row have given up when this frees it. Else the next of them got it, and held it as long again.
 */
export const IDLE_IN_TRANSACTION_MS_MAX = 4_600;
/** Beyond the server's own statement timeout, so that the server's clear error comes first. */
export const REPLY_MS_MAX = 8_000;
export const SESSION_REPLY_MS_MAX = 3_000;
const LEAVE_MS_MAX = 1_000;

/** Throws where the address makes no sense. */
export function pgDriver(url: string): PostgresDriver {
  const { connection } = readAddress(url);
  return {
    openPool: (connectionsMax, begin) => makePool(connection, connectionsMax, begin),
    openSession: async (begin) =>
      openClient({ ...connection, query_timeout: SESSION_REPLY_MS_MAX }, begin),
  };
}

class OwnClient extends Client {
  /** Takes leave of the server; a connection to one that hangs is cut, for it would never answer. */
  override async end(): Promise<void> {
    const { stream } = this.connection;
    if (stream instanceof Socket) stream.setTimeout(LEAVE_MS_MAX, () => stream.destroy());
    await super.end();
  }
}

/** A connection of one's own without a deadline for answers, for work that may take its time. */
export async function openPatientClient(url: string, begin: Begin): Promise<Client> {
  return openClient(readAddress(url).connection, begin);
}

async function openClient(
  connection: Address["connection"] & { readonly query_timeout?: number },
  begin: Begin,
): Promise<Client> {
  const client = new OwnClient({
    ...connection,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    application_name: "stampede",
  });
  client.on("error", ignoreBrokenConnection);
  try {
    await client.connect();
    await begin(client);
  } catch (error) {
    // Also where it is this side that cannot go on: the server would wait for a minute.
    client.end().catch(ignoreBrokenConnection);
    throw error;
  }
  return client;
}

function makePool(
  connection: Address["connection"],
  connectionsMax: number,
  begin: Begin,
): ConnectionPool {
  const begun = callbackify(begin);
  const pool = new Pool({
    ...connection,
    max: connectionsMax,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    idleTimeoutMillis: 60_000,
    query_timeout: REPLY_MS_MAX,
    keepAlive: true,
    application_name: "stampede",
    verify: (client, done) => begun(client, (error) => done(error ?? undefined)),
  });
  // A connection that breaks while nobody uses it is replaced by the next check-out, and one that
  // breaks in use rejects the statement that runs on it: neither may end the process.
  pool.on("error", ignoreBrokenConnection);
  pool.on("connect", (client) => client.on("error", ignoreBrokenConnection));
  return pool;
}

function ignoreBrokenConnection(): void {}
