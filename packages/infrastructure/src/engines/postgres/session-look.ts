// Whether a connection of ours is one session of the server, always the same and nobody else's. Behind a
// pooler in transaction mode it is not: each transaction runs in whatever session is free. That is seen by
// behaviour: whose session it is (`pg_backend_pid`) is asked on two connections by turns. Where sessions
// are shared the second one is given what the first has just laid down, or each asking another one; a pool
// of a single session shows it as well. Where sessions are kept nothing ever changes.
import { SESSION_REPLY_MS_MAX } from "./driver.ts";
import type { PostgresDriver, Session } from "./driver.ts";
import { postgresFault } from "./faults.ts";
import { SHARED_SESSIONS, UnsafeEngine } from "./settings.ts";

/** Enough where a busy pooler's sessions are given to whoever comes: 40 ms at 1 ms from the server. */
const ROUNDS = 12;
/**
 * A pooler that gives a session to one client from its first setting on (it "pins" it) is good enough. Ours
 * mean something to other programs on a shared session, so none of them is set before this is known.
 */
const SET_SOMETHING = "SELECT set_config('stampede.session', 'kept', false)";

/** Rejects with `UnsafeEngine` where sessions are shared, with `EngineFault` where there is none to look at. */
export async function refuseSharedSessions(driver: PostgresDriver): Promise<void> {
  try {
    if (await areShared(driver)) throw new UnsafeEngine(`${firstUpper(SHARED_SESSIONS)}.`);
  } catch (error) {
    throw error instanceof UnsafeEngine ? error : postgresFault(error, "not-applied");
  }
}

async function areShared(driver: PostgresDriver): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const open = async (): Promise<Session> => {
    const session = await driver.openSession(async (begun) => {
      await begun.query({ text: SET_SOMETHING, values: [], query_timeout: SESSION_REPLY_MS_MAX });
    });
    stack.defer(async () => session.end());
    return session;
  };
  const sessions = [await open(), await open()];
  const seen = sessions.map(() => new Set<number>());
  const isShared = (): boolean =>
    new Set(seen.flatMap((pids) => [...pids])).size !== sessions.length ||
    seen.some((pids) => pids.size !== 1);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, session] of sessions.entries()) seen[index]?.add(await pidOf(session));
    if (isShared()) return true;
    // Where others work through the pooler too, its sessions go round: in turn, each of ours might be
    // given the same one every time.
    const pids = await Promise.all(sessions.map(pidOf));
    for (const [index, pid] of pids.entries()) seen[index]?.add(pid);
    if (isShared()) return true;
  }
  return false;
}

async function pidOf(session: Session): Promise<number> {
  const { rows } = await session.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return rows[0]?.pid ?? Number.NaN;
}

function firstUpper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
