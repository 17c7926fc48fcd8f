// The driver's end of a simulated PostgreSQL: a pool and sessions of one process, over wires on
// which messages are late, lost before they arrive, or lost with their answers.
import {
  CONNECT_MS_MAX,
  REPLY_MS_MAX,
  SESSION_REPLY_MS_MAX,
} from "@stampede/infrastructure/src/engines/postgres/driver.ts";
import type {
  Answer,
  Begin,
  ConnectionPool,
  PooledConnection,
  PostgresDriver,
  Session,
  Statement,
} from "@stampede/infrastructure/src/engines/postgres/driver.ts";
import type { Faults, MessageFault } from "../faults.ts";
import { Wire } from "../network.ts";
import type { Random } from "../random.ts";
import type { Process, Scheduler } from "../scheduler.ts";
import type { Database, Reply, ServerSession } from "./database.ts";
import { limitsBegunWith } from "./session-limits.ts";
import { ServerError } from "./tables.ts";

export type DatabaseLink = {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly database: Database;
  /** False while nothing gets through between the processes and the server. */
  readonly isReachable: () => boolean;
};

const epochs = new WeakMap<Process, number>();

type Waiting = {
  readonly settle: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
};

class Connection {
  readonly #link: DatabaseLink;
  readonly #process: Process;
  readonly #replyMsMax: number;
  readonly #there: Wire;
  readonly #back: Wire;
  readonly #waiting = new Set<Waiting>();
  #server: ServerSession | null = null;
  #last: Promise<unknown> = Promise.resolve();
  broken = false;
  onBroken: () => void = () => undefined;

  constructor(link: DatabaseLink, process: Process, replyMsMax: number) {
    this.#link = link;
    this.#process = process;
    this.#replyMsMax = replyMsMax;
    this.#there = new Wire(link.scheduler, link.random);
    this.#back = new Wire(link.scheduler, link.random);
    process.mourners.add(this.#hangUp);
  }

  async open(begin: Begin): Promise<void> {
    const { scheduler, database } = this.#link;
    const limits = await limitsBegunWith(begin);
    await new Promise<void>((resolve, reject) => {
      const refuse = (): void => {
        this.broken = true;
        reject(new Error("connect ECONNREFUSED"));
      };
      if (!this.#link.isReachable()) {
        scheduler.after(CONNECT_MS_MAX, this.#process, refuse);
        return;
      }
      this.#there.send(null, () => {
        const server = database.open(limits, () => this.#back.send(this.#process, this.#break));
        this.#server = server;
        this.#back.send(this.#process, server === null ? refuse : resolve);
      });
    });
  }

  /** One statement after the other, as `pg` sends them. */
  async query(statement: Statement): Promise<Answer<never>> {
    const asked = this.#last.then(async () => this.#ask(statement));
    this.#last = asked.catch(() => undefined);
    return (await asked) as Answer<never>;
  }

  close(): void {
    this.broken = true;
    this.#process.mourners.delete(this.#hangUp);
    this.#hangUp();
  }

  async #ask(statement: Statement): Promise<Answer<Record<string, unknown>>> {
    const text = typeof statement === "string" ? statement : statement.text;
    const values = typeof statement === "string" ? [] : statement.values;
    const { promise, resolve, reject } = Promise.withResolvers<Answer<Record<string, unknown>>>();
    if (this.broken) throw new Error("Client has encountered a connection error");
    const waiting: Waiting = {
      settle: (reply) => ("error" in reply ? reject(reply.error) : resolve(reply)),
      reject,
    };
    this.#waiting.add(waiting);
    const late = this.#link.scheduler.after(this.#replyMsMax, this.#process, () =>
      reject(new Error("Query read timeout")),
    );
    this.#send({ text, values }, (reply) => waiting.settle(reply));
    try {
      return await promise;
    } finally {
      late.run = null;
      this.#waiting.delete(waiting);
    }
  }

  #send(
    statement: { readonly text: string; readonly values: readonly unknown[] },
    settle: (reply: Reply) => void,
  ): void {
    const { scheduler, database, faults, random, isReachable } = this.#link;
    const server = this.#server;
    if (server === null || !isReachable()) return;
    const fault = faults.ofMessage(
      scheduler.nowMs,
      `postgres ${kindOf(statement.text)}`,
      faultsOf(statement.text),
    );
    if (fault === "cut-before") {
      this.#cut(server);
      return;
    }
    const extraMs = fault === "slow" ? random.between(20, 700) : 0;
    const replyMs = fault === "late-reply" ? this.#lateMs() : 0;
    this.#there.send(
      null,
      () => {
        if (fault === "rolled-back") database.failTransaction(server);
        if (fault === "refused") {
          database.onAnswer("40001");
          database.failTransaction(server);
          const error = new ServerError(random.pick(["40001", "40P01"]), "could not serialize");
          this.#back.send(this.#process, () => settle({ error }));
          if (statement.text === "COMMIT") database.execute(server, statement, () => undefined);
          return;
        }
        database.execute(server, statement, (reply) => {
          this.#watchEpoch(statement.text, reply);
          if (fault === "cut-after" && isCommit(statement.text, reply))
            database.onAnswer("COMMIT reply lost after the commit");
          if (fault === "cut-after" || !isReachable()) this.#cut(server);
          else this.#back.send(this.#process, () => settle(reply), replyMs);
        });
      },
      extraMs,
    );
  }

  /** Sees a decider meet an epoch above the one that it took. */
  #watchEpoch(text: string, reply: Reply): void {
    if (!("rows" in reply)) return;
    const epoch = Number(reply.rows[0]?.["epoch"] ?? Number.NaN);
    if (text.startsWith("UPDATE queues SET epoch")) {
      epochs.set(this.#process, epoch);
    } else if (epoch > (epochs.get(this.#process) ?? Infinity)) {
      this.#link.database.onAnswer("stale decider fenced");
    }
  }

  #lateMs(): number {
    const { faults, scheduler, random } = this.#link;
    const leftMs = Math.max(0, faults.healsAtMs - scheduler.nowMs);
    return Math.min(random.between(500, 12_000), leftMs);
  }

  /** The connection breaks: both ends learn of it in their own time. */
  #cut(server: ServerSession): void {
    const { scheduler, random, database } = this.#link;
    scheduler.after(random.between(0, 30), null, () => database.abandon(server));
    this.#back.send(this.#process, this.#break);
  }

  readonly #break = (): void => {
    if (this.broken && this.#waiting.size === 0) return;
    this.broken = true;
    this.#process.mourners.delete(this.#hangUp);
    for (const { reject } of this.#waiting) reject(new Error("Connection terminated unexpectedly"));
    this.onBroken();
  };

  /** What was sent before still arrives. */
  readonly #hangUp = (): void => {
    const server = this.#server;
    if (server === null || !this.#link.isReachable()) return;
    this.#there.send(null, () => this.#link.database.abandon(server));
  };
}

export function databaseDriver(link: DatabaseLink, process: Process): PostgresDriver {
  return {
    openPool: (connectionsMax, begin) => pool(link, process, connectionsMax, begin),
    async openSession(begin) {
      const connection = new Connection(link, process, SESSION_REPLY_MS_MAX);
      await connection.open(begin);
      return sessionOf(connection);
    },
  };
}

function sessionOf(connection: Connection): Session {
  const listeners: (() => void)[] = [];
  connection.onBroken = () => {
    for (const listener of listeners.splice(0)) listener();
  };
  return {
    query: async (statement) => connection.query(statement),
    once: (_, listener) => void listeners.push(listener),
    end: async () => connection.close(),
  };
}

function pool(
  link: DatabaseLink,
  process: Process,
  connectionsMax: number,
  begin: Begin,
): ConnectionPool {
  const idle: Connection[] = [];
  const all = new Set<Connection>();
  let ended = false;
  const forget = (connection: Connection): void => {
    all.delete(connection);
    const index = idle.indexOf(connection);
    if (index !== -1) idle.splice(index, 1);
  };
  const giveBack = (connection: Connection, broken: boolean): void => {
    if (!broken && !connection.broken && !ended) {
      idle.push(connection);
      return;
    }
    forget(connection);
    connection.close();
  };
  const own: ConnectionPool = {
    async connect() {
      if (ended) throw new Error("Cannot use a pool after calling end on the pool");
      let connection = idle.pop();
      if (connection === undefined) {
        if (all.size >= connectionsMax + 1)
          throw new Error("timeout exceeded when trying to connect");
        connection = new Connection(link, process, REPLY_MS_MAX);
        all.add(connection);
        const opening = connection;
        // One that breaks in use keeps its place until it is given back.
        connection.onBroken = () => {
          if (idle.includes(opening)) forget(opening);
        };
        try {
          await connection.open(begin);
        } catch (error) {
          forget(opening);
          throw error;
        }
      }
      return pooled(connection, giveBack);
    },
    async query(statement) {
      const connection = await own.connect();
      let broken = true;
      try {
        const answer = await connection.query<never>(statement);
        broken = false;
        return answer;
      } finally {
        connection.release(broken);
      }
    },
    get totalCount() {
      return all.size;
    },
    get idleCount() {
      return idle.length;
    },
    get ended() {
      return ended;
    },
    async end() {
      ended = true;
      for (const connection of idle.splice(0)) connection.close();
    },
  };
  return own;
}

function pooled(
  connection: Connection,
  giveBack: (connection: Connection, broken: boolean) => void,
): PooledConnection {
  return {
    query: async (statement) => connection.query(statement),
    release: (broken) => giveBack(connection, broken),
  };
}

function isCommit(text: string, reply: Reply): boolean {
  return text === "COMMIT" && "command" in reply && reply.command === "COMMIT";
}

function kindOf(text: string): string {
  return text.trimStart().slice(0, 6).trimEnd();
}

function faultsOf(text: string): readonly MessageFault[] {
  if (text === "COMMIT") {
    return ["cut-after", "cut-before", "rolled-back", "refused", "late-reply", "slow"];
  }
  return text === "BEGIN" || text === "ROLLBACK"
    ? ["cut-before", "cut-after", "slow"]
    : ["cut-before", "cut-after", "refused", "late-reply", "slow"];
}
