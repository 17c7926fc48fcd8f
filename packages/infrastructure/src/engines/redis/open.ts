// The connection to Redis, held through every loss of it.
//
// Invariants
// - Nothing is ever sent twice by itself, and nothing is kept to be sent later: no offline queue, no
//   reconnecting inside the client (fact F5). Whoever repeats a command knows that it may be.
// - A session is one connection to one run of one server: its `runId` is known and its settings were
//   checked before anybody gets it. A restarted Redis is therefore always met as another run.
// - A server that may not be used is as good as away, at the start as later: what needs it is
//   unavailable, and everything else goes on. Why that is so is told, once until it changes.
import { EngineFault } from "@stampede/domain";
import { makeClient } from "./client.ts";
import type { RedisAddress, RedisClient } from "./client.ts";
import { makeContact } from "./contact.ts";
import type { Contact, RedisSession, Trial } from "./contact.ts";
import { redisAway } from "./faults.ts";
import { hasRoom, tryRights } from "./rights.ts";
import { RedisNews } from "./news.ts";
import type { RedisNewsOptions } from "./news.ts";

export type { RedisAddress, RedisClient, RedisTls } from "./client.ts";
export type { RedisSession } from "./contact.ts";

export type Redis = {
  /** The session of now. Throws `EngineFault` ("not-applied") while Redis is away or refused. */
  session(): RedisSession;
  /** Whether it can take a reservation, as far as is known without asking. */
  isUp(): boolean;
  /** Whether it answers: a full one still reads and deletes. */
  isThere(): boolean;
  /** Resolves when Redis is there, or after `waitMs` without it. */
  untilUp(waitMs: number): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type RedisOptions = RedisNewsOptions & {
  /** From 0 to 1, so that instances do not return in step. */
  readonly random: () => number;
};

const RETRY_MS_MIN = 50;
/** Below a second, so that claims succeed within two after Redis is back (L3). */
const RETRY_MS_MAX = 500;

/** Opens Redis. It may be away or refused: then it is tried again and again. */
export async function openRedis(options: RedisOptions & RedisAddress): Promise<Redis> {
  const trial = { rights: tryRights, hasRoom };
  return openRedisWith(() => makeClient(options), { ...options, trial });
}

/** The same over any client; `newClient` makes one for each connection. */
export async function openRedisWith(
  newClient: () => RedisClient,
  options: RedisOptions & { readonly trial?: Trial },
): Promise<Redis> {
  const { time, random, trial = null } = options;
  const closed = new AbortController();
  const arrivals = new Set<() => void>();
  const news = new RedisNews(options);
  let contact: Contact | null = null;
  const isThere = (): boolean => contact?.isAlive() === true;

  const tryToConnect = async (): Promise<Contact | null> => {
    try {
      return await makeContact(newClient(), { time, trial, onFindings: (all) => news.note(all) });
    } catch (error) {
      if (!(error instanceof EngineFault)) throw error;
      if (!closed.signal.aborted) news.notReached(error);
      return null;
    }
  };
  const use = async (next: Contact): Promise<void> => {
    contact = next;
    for (const arrived of arrivals) arrived();
    arrivals.clear();
    await next.ended;
    contact = null;
  };
  const stayConnected = async (first: Contact | null): Promise<void> => {
    if (first !== null) await use(first);
    for (let failures = 0; !closed.signal.aborted;) {
      await time.sleep(backOffMs(failures, random), closed.signal);
      if (closed.signal.aborted) return;
      const next = await tryToConnect();
      failures = next === null ? failures + 1 : 0;
      if (next !== null && closed.signal.aborted) next.end();
      if (next !== null) await use(next);
    }
  };
  const running = stayConnected(await tryToConnect());

  const redis: Redis = {
    session() {
      if (contact === null || !contact.isAlive()) throw redisAway("Redis is away");
      return contact.session;
    },
    isUp: () => isThere() && contact?.isFull() !== true,
    isThere,
    async untilUp(waitMs) {
      if (isThere()) return;
      const waited = new AbortController();
      const arrived = (): void => waited.abort();
      arrivals.add(arrived);
      await time.sleep(waitMs, waited.signal);
      arrivals.delete(arrived);
    },
    async close() {
      closed.abort();
      contact?.end();
      await running;
    },
    [Symbol.asyncDispose]: async () => redis.close(),
  };
  return redis;
}

/** Doubles from 50 to 500 ms, half of it random, so that instances do not return in step. */
function backOffMs(failures: number, random: () => number): number {
  const fullMs = Math.min(RETRY_MS_MIN * 2 ** failures, RETRY_MS_MAX);
  return fullMs / 2 + (random() * fullMs) / 2;
}
