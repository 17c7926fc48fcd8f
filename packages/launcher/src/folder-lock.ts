import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";

const pollMs = 200;

/** Held until released or until this process dies, however it dies. */
export type Lock = { release(): void };

/**
 * Takes the lock at `path`, or returns null while another process (or another part of this one)
 * holds it. The file stays when the lock is released: removing it would let two holders in.
 *
 * The operating system must forget the lock when its holder is killed, or every `kill -9` would
 * leave a stale one to be judged, with a race between the judges. Node has no flock; SQLite, which
 * Node brings along, takes exactly such a lock for an exclusive transaction.
 */
export function tryLock(path: string): Lock | null {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Nothing is ever written, so there is nothing to keep a journal file for.
    database.exec("PRAGMA journal_mode=OFF; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (isBusy(error)) return null;
    throw error;
  }
  let held = true;
  return {
    release() {
      if (held) database.close();
      held = false;
    },
  };
}

/** Waits for the lock; `onWait` is called once if somebody else holds it. */
export async function waitForLock(
  path: string,
  waiting: { readonly signal?: AbortSignal | undefined; readonly onWait: () => void },
): Promise<Lock> {
  let lock = tryLock(path);
  if (lock === null) waiting.onWait();
  while (lock === null) {
    await delay(pollMs, undefined, waiting.signal === undefined ? {} : { signal: waiting.signal });
    lock = tryLock(path);
  }
  return lock;
}

function isBusy(error: unknown): boolean {
  // 5 is SQLITE_BUSY; the low byte holds it in the extended codes as well.
  return error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === 5;
}
