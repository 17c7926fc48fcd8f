// One leader per duty, elected by PostgreSQL: a session-wide advisory lock. The session must speak
// every second, or PostgreSQL ends it (`idle_session_timeout`) and with it the lock: so a leader that
// is paused or cut off is replaced within seconds, although its process still lives. One that reaches
// PostgreSQL and not the other engine of its duty gives the lead back, and asks for it again only when
// it can do the work: meanwhile another process may. A lock on a server that has become a standby is
// none: whoever comes later asks the primary. Leadership only
// avoids double work; what makes two leaders harmless are the fences in the duties' own
// transactions.
import { EngineFault } from "@stampede/domain";
import { publishFailure } from "../telemetry.ts";
import type { Time } from "../time.ts";
import type { Session } from "./driver.ts";
import { postgresFault } from "./faults.ts";
import type { Postgres } from "./open.ts";
import { LEADER_SETTINGS, SHARED_SESSIONS } from "./settings.ts";
import type { SessionFacts } from "./settings.ts";

const SPEAK_EVERY_MS = 1_000;
/** A broker or a Redis that is restarted is back by then. */
const UNABLE_MS_MAX = 3_000;
const READ_ONLY = "current_setting('transaction_read_only') AS transaction_read_only";
/** Two schemas of one database are two installations, each with its own leaders. */
const INSTALLATION = `'stampede' || coalesce((SELECT ' ' || n.nspname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid = to_regclass('coupon_issues') AND n.nspname <> 'public'), '')`;
const TRY_LOCK = `SELECT pg_try_advisory_lock(hashtext(${INSTALLATION}), hashtext($1)) AS locked,
  pg_backend_pid() AS pid, ${READ_ONLY}`;
const SPEAK = `SELECT ${READ_ONLY}, pg_backend_pid() AS pid`;

type Word = Pick<SessionFacts, "transaction_read_only"> & { readonly pid: number };

export type Leadership = {
  isLeader(): boolean;
  /** Steps down and waits until the duty has ended. */
  close(): Promise<void>;
};

/**
 * Tries to be the leader of `duty` until closed; runs `lead` while it is, again after each election.
 * `lead` must end soon after its signal aborts; what it throws is given to `onError`, and the lock is
 * given up, so that another process may do better.
 */
export function leadership(
  postgres: Postgres,
  options: {
    readonly duty: string;
    readonly lead: (signal: AbortSignal) => Promise<void>;
    readonly onError: (error: unknown) => void;
    /** Whether the duty can be done now, beside PostgreSQL; always, where it is not given. */
    readonly isAble?: () => boolean;
    /** Told when the lead is given back because the duty cannot be done here. */
    readonly onGivenBack?: (message: string) => void;
    /**
     * Called at an election that followed upon another leader: one that was seen here to hold the
     * duty, or an earlier term of our own. A duty that nobody held is begun and not taken over.
     */
    readonly onTakeover?: () => void;
  },
): Leadership {
  const { time } = postgres;
  const { isAble = () => true } = options;
  const closed = new AbortController();
  let leading = false;
  let predecessor = false;

  const term = async (): Promise<void> => {
    const session = await postgres.openSession(LEADER_SETTINGS);
    const ended = new AbortController();
    const stop = (): void => ended.abort();
    session.once("end", stop);
    session.once("error", (error) => {
      if (error !== undefined) tellLost(error);
      stop();
    });
    closed.signal.addEventListener("abort", stop, { once: true });
    // While the session was opened nobody listened yet.
    if (closed.signal.aborted) stop();
    try {
      const pid = await lockOf({ session, duty: options.duty, time, ended }, () => {
        predecessor = true;
      });
      if (ended.signal.aborted || pid === null) return;
      leading = true;
      if (predecessor) options.onTakeover?.();
      predecessor = true;
      const speaking = keepSpeaking({ session, pid, time, ended });
      const giveBack = (): void => options.onGivenBack?.(givenBack(options.duty));
      const watching = watchAbility({ time, isAble, ended, giveBack });
      try {
        await options.lead(ended.signal);
      } finally {
        leading = false;
        ended.abort();
        await Promise.all([speaking, watching]);
      }
    } finally {
      closed.signal.removeEventListener("abort", stop);
      await session.end();
    }
  };

  const terms = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      try {
        if (isAble()) await term();
      } catch (error) {
        if (error instanceof EngineFault) publishFailure("leadership", error);
        else options.onError(error);
      }
      await time.sleep(SPEAK_EVERY_MS / 2, closed.signal);
    }
  };
  const running = terms();

  return {
    isLeader: () => leading,
    async close() {
      closed.abort();
      await running;
    },
  };
}

function tellLost(error: unknown): void {
  publishFailure("leadership", postgresFault(error, "not-applied"));
}

type Wait = {
  readonly session: Session;
  readonly duty: string;
  readonly time: Time;
  readonly ended: AbortController;
};

/** Waits until the lock is ours, and gives who holds it for us; null where the term ended before. */
async function lockOf(
  { session, duty, time, ended }: Wait,
  onOther: () => void,
): Promise<number | null> {
  while (!ended.signal.aborted) {
    const pid = await tryAdvisoryLock(session, duty);
    if (pid !== null) return pid;
    onOther();
    await time.sleep(SPEAK_EVERY_MS, ended.signal);
  }
  return null;
}

/** Gives who holds the lock for us, the server's process; null where another session has it. */
async function tryAdvisoryLock(session: Session, duty: string): Promise<number | null> {
  try {
    const { rows } = await session.query<{ locked: boolean } & Word>({
      text: TRY_LOCK,
      values: [duty],
    });
    refuseReadOnly(rows);
    return rows[0]?.locked === true ? rows[0].pid : null;
  } catch (error) {
    // A session that was lost is a fault like any other, and no surprise: the next term has another.
    throw postgresFault(error, "not-applied");
  }
}

function refuseReadOnly(rows: readonly Word[]): void {
  if (rows[0]?.transaction_read_only === "on") {
    throw new EngineFault("postgres", "not-applied", "the session's server only reads by now");
  }
}

function givenBack(duty: string): string {
  return (
    `this process gives back the lead of the ${duty}: it has not reached the engine that it needs for ` +
    `${UNABLE_MS_MAX / 1_000} s`
  );
}

/** Ends the term where the duty cannot be done for so long. */
async function watchAbility(term: {
  readonly time: Time;
  readonly isAble: () => boolean;
  readonly ended: AbortController;
  readonly giveBack: () => void;
}): Promise<void> {
  const { time, isAble, ended, giveBack } = term;
  let ableAtMs = time.nowMs();
  while (!ended.signal.aborted) {
    await time.sleep(SPEAK_EVERY_MS / 2, ended.signal);
    if (isAble()) ableAtMs = time.nowMs();
    if (ended.signal.aborted || time.nowMs() - ableAtMs < UNABLE_MS_MAX) continue;
    ended.abort();
    giveBack();
  }
}

async function keepSpeaking(term: {
  readonly session: Session;
  readonly pid: number;
  readonly time: Time;
  readonly ended: AbortController;
}): Promise<void> {
  const { session, pid, time, ended } = term;
  while (!ended.signal.aborted) {
    await time.sleep(SPEAK_EVERY_MS, ended.signal);
    try {
      if (ended.signal.aborted) return;
      const { rows } = await session.query<Word>(SPEAK);
      refuseReadOnly(rows);
      if (rows[0]?.pid !== pid) throw new Error(SHARED_SESSIONS);
    } catch (error) {
      // The session is gone and with it the lock: the term is over, whatever the reason.
      if (!ended.signal.aborted) tellLost(error);
      ended.abort();
    }
  }
}
