// The connection to Redis.
//
// Invariants
// - Nothing is ever sent twice by itself, and nothing is kept to be sent later: no offline queue, no
//   reconnecting inside the client (fact F5). Whoever repeats a command knows that it may be.
// - A session is one connection to one run of one server: its `runId` is known and its settings were
//   checked before anybody gets it. A restarted Redis is therefore always met as another run.
// - A server that has become a replica, or was one from the start, is as good as away: its connection
//   ends with the first command that it refuses for that, or by what it says of itself every second.
// - A command that has no answer within its deadline ends its connection: the answers of a
//   connection come in order, so nothing behind it would come either.
//
// The client's own command timeout does not serve: it ends when the command is written to the
// socket, so a server that never answers would be waited for without end (redis 6.3, read and tried).
import { EngineFault } from "@stampede/domain";
import { createClient } from "redis";
import { UnsafeEngine } from "../postgres/settings.ts";
import { timed } from "../telemetry.ts";
import type { RoundTrip } from "../telemetry.ts";
import type { Time } from "../time.ts";
import { isReplicas, isScriptMissing, redisAway, redisFault } from "./faults.ts";
import type { Script } from "./script.ts";
import { refuseUnsafeServer, serverFacts } from "./settings.ts";

/** One connection. All calls reject with `EngineFault`: "unknown" once a command may have arrived. */
export type RedisSession = {
  /** Names this run of the server; another one after every restart. */
  readonly runId: string;
  send(...command: readonly string[]): Promise<unknown>;
  /** Runs a script by its hash; loads it and repeats once where Redis has forgotten it. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>;
};

export type Redis = {
  /** The session of now. Throws `EngineFault` ("not-applied") while Redis is away or refused. */
  session(): RedisSession;
  isUp(): boolean;
  /** Resolves when Redis is there, or after `waitMs` without it. */
  untilUp(waitMs: number): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type RedisOptions = {
  readonly time: Time;
  /** From 0 to 1, so that instances do not return in step. */
  readonly random: () => number;
  /** Told of a Redis that is there and not used: its settings are refused, or it is a replica. */
  readonly onRefused?: (error: Error) => void;
};

const CONNECT_MS_MAX = 2_000;
const REPLY_MS_MAX = 2_000;
const PING_EVERY_MS = 1_000;
const RETRY_MS_MIN = 50;
/** Below a second, so that claims succeed within two after Redis is back (L3). */
const RETRY_MS_MAX = 500;

const PING: RoundTrip = { engine: "redis", operation: "ping" };

/** What this file needs of a client; the one that is used below it is `redis`. */
export type RedisClient = {
  on(happening: "error" | "end", listener: () => void): unknown;
  connect(): Promise<unknown>;
  /** Rejects with what the server answered, or with whatever ended the connection. */
  sendCommand(command: readonly string[]): Promise<unknown>;
  destroy(): void;
};

type Contact = {
  readonly session: RedisSession;
  /** False as soon as the connection is known to be broken. */
  isAlive(): boolean;
  readonly ended: Promise<void>;
  end(): void;
};

/**
 * Opens Redis. It may be away: then it is tried again and again, and v2 is unavailable meanwhile.
 * Rejects with `UnsafeEngine` for a Redis whose settings could lose reservations.
 */
export async function openRedis(options: RedisOptions & { readonly url: string }): Promise<Redis> {
  return openRedisWith(() => makeClient(options.url), options);
}

/** The same over any client; `makeClient` makes one for each connection. */
export async function openRedisWith(
  makeClient: () => RedisClient,
  options: RedisOptions,
): Promise<Redis> {
  const { time, random } = options;
  const closed = new AbortController();
  const arrivals = new Set<() => void>();
  let contact: Contact | null = null;
  const isUp = (): boolean => contact?.isAlive() === true;

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
      const next = await connectOrNull(makeClient, options);
      failures = next === null ? failures + 1 : 0;
      if (next !== null && closed.signal.aborted) next.end();
      if (next !== null) await use(next);
    }
  };
  // The first contact decides whether this program may start; later ones only whether v2 may serve.
  const running = stayConnected(await connectAtStart(makeClient, options));

  const redis: Redis = {
    session() {
      if (contact === null || !contact.isAlive()) throw redisAway("Redis is away");
      return contact.session;
    },
    isUp,
    async untilUp(waitMs) {
      if (isUp()) return;
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

async function connectAtStart(
  makeClient: () => RedisClient,
  options: RedisOptions,
): Promise<Contact | null> {
  try {
    return await connect(makeClient, options);
  } catch (error) {
    if (error instanceof EngineFault) return null;
    throw error;
  }
}

async function connectOrNull(
  makeClient: () => RedisClient,
  options: RedisOptions,
): Promise<Contact | null> {
  try {
    return await connect(makeClient, options);
  } catch (error) {
    if (error instanceof UnsafeEngine) options.onRefused?.(error);
    else if (!(error instanceof EngineFault)) throw error;
    return null;
  }
}

async function connect(
  makeClient: () => RedisClient,
  { time, onRefused }: RedisOptions,
): Promise<Contact> {
  const client = makeClient();
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  let alive = true;
  const end = (): void => {
    alive = false;
    resolve();
    client.destroy();
  };
  client.on("error", end);
  client.on("end", end);
  try {
    await withDeadline(time, CONNECT_MS_MAX, { run: async () => client.connect(), late: end });
    // What it has answered already is still heard.
    const lose = (): void => {
      alive = false;
      time.endOfTurn(end);
    };
    const session = sessionOf(client, time, { end, lose });
    const facts = serverFacts(String(await session.send("INFO")));
    if (facts.loading) throw redisAway("Redis is still loading its data");
    if (facts.replica) {
      const fault = redisAway(
        "Redis is a replica: promote it, or let REDIS_URL lead to the primary",
      );
      onRefused?.(fault);
      throw fault;
    }
    refuseUnsafeServer(facts);
    void keepAsking(session, time, { ended, end });
    return {
      session: { ...session, runId: facts.runId },
      isAlive: () => alive,
      ended,
      end,
    };
  } catch (error) {
    end();
    throw error instanceof UnsafeEngine ? error : redisFault(error);
  }
}

function makeClient(url: string): RedisClient {
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    commandOptions: { timeout: 0 },
    socket: { reconnectStrategy: false, connectTimeout: CONNECT_MS_MAX },
  });
}

function sessionOf(
  client: RedisClient,
  time: Time,
  { end, lose }: { readonly end: () => void; readonly lose: () => void },
): Omit<RedisSession, "runId"> {
  const send = async (...command: readonly string[]): Promise<unknown> =>
    withDeadline(time, REPLY_MS_MAX, {
      run: async () => {
        try {
          return await client.sendCommand(command);
        } catch (error) {
          if (isReplicas(error)) lose();
          throw error;
        }
      },
      late: end,
    });
  return {
    send,
    async run(script, keys, args) {
      const roundTrip: RoundTrip = { engine: "redis", operation: script.name };
      const evaluate = async (): Promise<unknown> =>
        timed(roundTrip, async () =>
          send("EVALSHA", script.sha1, String(keys.length), ...keys, ...args),
        );
      try {
        return await evaluate();
      } catch (error) {
        if (!isScriptMissing(error)) throw error;
        await send("SCRIPT", "LOAD", script.source);
        return await evaluate();
      }
    },
  };
}

/** Asks every second, so that a lost connection or primary is known before a claim needs it. */
async function keepAsking(
  session: Omit<RedisSession, "runId">,
  time: Time,
  { ended, end }: Pick<Contact, "ended" | "end">,
): Promise<void> {
  const over = new AbortController();
  void ended.then(() => over.abort());
  while (!over.signal.aborted) {
    await time.sleep(PING_EVERY_MS, over.signal);
    if (over.signal.aborted) return;
    try {
      const info = await timed(PING, async () => session.send("INFO", "replication"));
      if (serverFacts(String(info)).replica) end();
    } catch {
      // What has no answer has ended the connection, which is all that there is to do about it.
    }
  }
}

async function withDeadline<Value>(
  time: Time,
  deadlineMs: number,
  act: { readonly run: () => Promise<Value>; readonly late: () => void },
): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const callOff = time.after(deadlineMs, () => {
    reject(redisFault(new Error(`no answer within ${deadlineMs} ms`)));
    act.late();
  });
  try {
    return await Promise.race([act.run(), late]);
  } catch (error) {
    throw redisFault(error);
  } finally {
    callOff();
  }
}

/** Doubles from 50 to 500 ms, half of it random, so that instances do not return in step. */
function backOffMs(failures: number, random: () => number): number {
  const fullMs = Math.min(RETRY_MS_MIN * 2 ** failures, RETRY_MS_MAX);
  return fullMs / 2 + (random() * fullMs) / 2;
}
