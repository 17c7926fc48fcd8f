// A simulated PostgreSQL: sessions, READ COMMITTED transactions with row locks, timeouts, and what
// happens to both when the server or the other end goes away.
import type { Scheduler } from "../scheduler.ts";
import { Locks } from "./locks.ts";
import type { Owner } from "./locks.ts";
import { SESSION_PID, stepOf } from "./sql.ts";
import type { SqlRow, Step, Values } from "./sql-step.ts";
import { ServerError, Tables } from "./tables.ts";

export type Limits = {
  readonly lockMsMax: number;
  readonly statementMsMax: number;
  readonly idleInTransactionMsMax: number;
  readonly idleMsMax: number;
};

export type Reply =
  | { readonly rows: SqlRow[]; readonly command: string }
  | { readonly error: ServerError };

type Transaction = Owner & {
  readonly writes: ((committedMs: number) => void)[];
  failed: boolean;
};

export class ServerSession {
  readonly limits: Limits;
  /** Told once, when the server ends the session. */
  readonly onEnd: () => void;
  transaction: Transaction | null = null;
  alive = true;
  /** The client is gone: the session ends after the statement that it is at. */
  abandoned = false;
  busy = false;
  /** Counts statements, so that an idle timeout knows whether one came since. */
  statements = 0;

  constructor(limits: Limits, onEnd: () => void) {
    this.limits = limits;
    this.onEnd = onEnd;
  }
}

export class Database {
  readonly tables = new Tables();
  readonly #scheduler: Scheduler;
  readonly #epochMs: number;
  readonly #locks = new Locks();
  readonly #advisory = new Map<string, ServerSession>();
  readonly #sessions = new Set<ServerSession>();
  /** Called after every commit that changed something. */
  onCommit: () => void = () => undefined;
  /** Called for what is rare: an error by its SQLSTATE, a fenced decider, a COMMIT that was none. */
  onAnswer: (what: string) => void = () => undefined;
  up = true;

  constructor(scheduler: Scheduler, epochMs: number) {
    this.#scheduler = scheduler;
    this.#epochMs = epochMs;
  }

  clockMs(): number {
    return this.#epochMs + this.#scheduler.nowMs;
  }

  /** Null: nobody listens. */
  open(limits: Limits, onEnd: () => void): ServerSession | null {
    if (!this.up) return null;
    const session = new ServerSession(limits, onEnd);
    this.#sessions.add(session);
    this.#awaitStatement(session);
    return session;
  }

  sessions(): readonly ServerSession[] {
    return [...this.#sessions];
  }

  /** The server stops at once and comes back by `up = true`: what is committed stays. */
  crash(): void {
    this.up = false;
    for (const session of this.sessions()) this.end(session);
  }

  /** Ends a session, rolled back, its locks free. */
  end(session: ServerSession): void {
    if (!session.alive) return;
    session.alive = false;
    this.#sessions.delete(session);
    for (const [duty, owner] of this.#advisory) if (owner === session) this.#advisory.delete(duty);
    if (session.transaction !== null) this.#locks.releaseAll(session.transaction);
    session.transaction = null;
    session.onEnd();
  }

  /** The client is gone without a word: a statement under way is finished first (fact F7). */
  abandon(session: ServerSession): void {
    if (session.busy) session.abandoned = true;
    else this.end(session);
  }

  execute(
    session: ServerSession,
    statement: { readonly text: string; readonly values: Values },
    answer: (reply: Reply) => void,
  ): void {
    if (!session.alive) return;
    session.statements += 1;
    session.busy = true;
    const done = (reply: Reply): void => {
      if (!session.alive) return;
      session.busy = false;
      answer(reply);
      if (session.abandoned) this.end(session);
      else this.#awaitStatement(session);
    };
    const { text, values } = statement;
    if (text === "BEGIN" || text === "COMMIT" || text === "ROLLBACK") {
      done({ rows: [], command: this.#control(session, text) });
    } else if (text.startsWith("SELECT pg_try_advisory_lock")) {
      done({
        rows: [{ locked: this.#tryAdvisory(session, String(values[0])), pid: SESSION_PID }],
        command: "SELECT",
      });
    } else {
      this.#run(session, stepOf(text, values, this.tables), done);
    }
  }

  /** Fails a transaction, as a serialization failure does that the server finds out by itself. */
  failTransaction(session: ServerSession): void {
    if (session.transaction !== null) session.transaction.failed = true;
  }

  #control(session: ServerSession, text: string): string {
    const { transaction } = session;
    if (text === "BEGIN") {
      session.transaction ??= newTransaction();
      return "BEGIN";
    }
    session.transaction = null;
    if (transaction === null) return text;
    const commits = text === "COMMIT" && !transaction.failed;
    if (text === "COMMIT" && !commits) this.onAnswer("COMMIT answered by ROLLBACK");
    this.#finish(transaction, commits);
    return commits ? "COMMIT" : "ROLLBACK";
  }

  #finish(transaction: Transaction, commits: boolean): void {
    if (commits && transaction.writes.length > 0) {
      for (const write of transaction.writes) write(this.#scheduler.nowMs);
      this.onCommit();
    }
    this.#locks.releaseAll(transaction);
  }

  #run(session: ServerSession, step: Step, done: (reply: Reply) => void): void {
    const own = session.transaction;
    if (own?.failed === true) {
      done({ error: new ServerError("25P02", "current transaction is aborted") });
      return;
    }
    const transaction = own ?? newTransaction();
    // So that its locks are freed should the session end while it waits.
    session.transaction = transaction;
    let over = false;
    const finish = (reply: Reply): void => {
      over = true;
      if ("error" in reply) {
        const { code, message } = reply.error;
        this.onAnswer(message === "events" ? "event exists" : (NAMES[code] ?? code));
        this.#locks.giveUp(transaction);
        transaction.failed = true;
      }
      if (own === null) {
        session.transaction = null;
        this.#finish(transaction, !transaction.failed);
      }
      done(reply);
    };
    const fail = (code: string, why: string): void => {
      if (!over && session.alive) finish({ error: new ServerError(code, why) });
    };
    const startedMs = this.#scheduler.nowMs;
    const takeFrom = (first: number): void => {
      if (over || !session.alive) return;
      for (let index = first; index < step.locks.length; index += 1) {
        if (this.#locks.take(step.locks[index]!, transaction, () => takeFrom(index + 1))) continue;
        if (this.#locks.isDeadlock(transaction)) return fail("40P01", "deadlock detected");
        const { lockMsMax, statementMsMax } = session.limits;
        const leftMs = startedMs + statementMsMax - this.#scheduler.nowMs;
        const code = lockMsMax < leftMs ? "55P03" : "57014";
        const ms = Math.min(lockMsMax, leftMs);
        const waited = step.locks[index];
        this.#scheduler.after(ms, null, () => {
          if (transaction.waitsFor === waited) fail(code, "canceled while waiting");
        });
        return;
      }
      finish(this.#result(step, transaction));
    };
    takeFrom(0);
  }

  #result(step: Step, transaction: Transaction): Reply {
    const context = {
      tables: this.tables,
      write: (change: (committedMs: number) => void): void => {
        transaction.writes.push(change);
      },
      clockMs: () => this.clockMs(),
    };
    try {
      return { rows: step.run(context), command: "SELECT" };
    } catch (error) {
      if (error instanceof ServerError) return { error };
      throw error;
    }
  }

  #tryAdvisory(session: ServerSession, duty: string): boolean {
    const owner = this.#advisory.get(duty);
    if (owner !== undefined && owner !== session) return false;
    this.#advisory.set(duty, session);
    return true;
  }

  #awaitStatement(session: ServerSession): void {
    const { idleInTransactionMsMax, idleMsMax } = session.limits;
    const idleMs = session.transaction === null ? idleMsMax : idleInTransactionMsMax;
    if (idleMs === Infinity) return;
    const { statements } = session;
    this.#scheduler.after(idleMs, null, () => {
      if (session.statements === statements && !session.busy) this.end(session);
    });
  }
}

const NAMES: Readonly<Record<string, string>> = {
  "55P03": "lock_timeout",
  "57014": "lock_timeout",
};

function newTransaction(): Transaction {
  return { locks: new Set(), waitsFor: null, writes: [], failed: false };
}
