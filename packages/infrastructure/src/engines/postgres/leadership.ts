// One leader per duty, elected by PostgreSQL: a session-wide advisory lock. The session must speak
// every second, or PostgreSQL ends it (`idle_session_timeout`) and with it the lock: so a leader that
// is paused or cut off is replaced within seconds, although its process still lives. Leadership only
// avoids double work; what makes two leaders harmless are the fences in the duties' own
// transactions.
import { EngineFault } from "@stampede/domain";
import type { Time } from "../time.ts";
import type { Session } from "./driver.ts";
import { postgresFault } from "./faults.ts";
import type { Postgres } from "./open.ts";

const SPEAK_EVERY_MS = 1_000;
const SILENT_MS_MAX = 3_000;
const TRY_LOCK = "SELECT pg_try_advisory_lock(hashtext('stampede'), hashtext($1)) AS locked";

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
    /**
     * Called at an election that followed upon another leader: one that was seen here to hold the
     * duty, or an earlier term of our own. A duty that nobody held is begun and not taken over.
     */
    readonly onTakeover?: () => void;
  },
): Leadership {
  const { time } = postgres;
  const closed = new AbortController();
  let leading = false;
  let predecessor = false;

  const term = async (): Promise<void> => {
    const session = await postgres.openSession({ idle_session_timeout: `${SILENT_MS_MAX}ms` });
    const ended = new AbortController();
    const stop = (): void => ended.abort();
    session.once("end", stop);
    session.once("error", stop);
    closed.signal.addEventListener("abort", stop, { once: true });
    try {
      while (!ended.signal.aborted && !(await tryLock(session, options.duty))) {
        predecessor = true;
        await time.sleep(SPEAK_EVERY_MS, ended.signal);
      }
      if (ended.signal.aborted) return;
      leading = true;
      if (predecessor) options.onTakeover?.();
      predecessor = true;
      const speaking = keepSpeaking(session, time, ended);
      try {
        await options.lead(ended.signal);
      } finally {
        leading = false;
        ended.abort();
        await speaking;
      }
    } finally {
      closed.signal.removeEventListener("abort", stop);
      await session.end();
    }
  };

  const terms = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      try {
        await term();
      } catch (error) {
        if (!(error instanceof EngineFault)) options.onError(error);
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

async function tryLock(session: Session, duty: string): Promise<boolean> {
  try {
    const { rows } = await session.query<{ locked: boolean }>({ text: TRY_LOCK, values: [duty] });
    return rows[0]?.locked === true;
  } catch (error) {
    // A session that was lost is a fault like any other, and no surprise: the next term has another.
    throw postgresFault(error, "not-applied");
  }
}

async function keepSpeaking(session: Session, time: Time, ended: AbortController): Promise<void> {
  while (!ended.signal.aborted) {
    await time.sleep(SPEAK_EVERY_MS, ended.signal);
    try {
      if (!ended.signal.aborted) await session.query("SELECT 1");
    } catch {
      // The session is gone and with it the lock: the term is over, whatever the reason.
      ended.abort();
    }
  }
}
