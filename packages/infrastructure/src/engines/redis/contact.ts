// One connection to Redis: what it is asked before anybody gets it, and what ends it.
//
// - It ends with the first answer that says that this server takes nothing of ours (it has become a
//   replica, it cannot write, a right is gone): the next connection tells whether that still is so. What
//   was sent before is still heard.
// - A full Redis keeps it: it still reads and deletes, and by deleting it comes to have room again.
// - A command that has no answer within its deadline ends it: the answers of a connection come in
//   order, so nothing behind it would come either.
//
// The client's own command timeout does not serve: it ends when the command is written to the
// socket, so a server that never answers would be waited for without end (redis 6.3, read and tried).
import { EngineFault } from "@stampede/domain";
import type { Finding } from "../finding.ts";
import { timed } from "../telemetry.ts";
import type { RoundTrip } from "../telemetry.ts";
import type { Time } from "../time.ts";
import { CONNECT_MS_MAX } from "./client.ts";
import type { RedisClient } from "./client.ts";
import { isFull, isMissing, isScriptMissing, isUnusable, redisFault, replyOf } from "./faults.ts";
import { unusable } from "./reasons.ts";
import type { Ask } from "./rights.ts";
import type { Script } from "./script.ts";
import { judgeServer, serverFacts } from "./settings.ts";
import { sentenceOf } from "./news.ts";

/** One connection. All calls reject with `EngineFault`: "unknown" once a command may have arrived. */
export type RedisSession = {
  /** Names this run of the server; another one after every restart. */
  readonly runId: string;
  send(...command: readonly string[]): Promise<unknown>;
  /** Runs a script by its hash; loads it and repeats once where Redis has forgotten it. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>;
};

/** What a server is tried for by commands, beside what it says of itself. */
export type Trial = {
  readonly rights: (ask: Ask) => Promise<readonly Finding[]>;
  readonly hasRoom: (ask: Ask) => Promise<boolean>;
};

export type ContactOptions = {
  readonly time: Time;
  /** Null where the server has nothing to refuse. */
  readonly trial: Trial | null;
  /** Told of everything that is not right with the server, whenever it was looked at. */
  readonly onFindings: (findings: readonly Finding[]) => void;
};

export type Contact = {
  readonly session: RedisSession;
  /** False as soon as the connection is known to be broken. */
  isAlive(): boolean;
  /** Whether there is no room for one more reservation. */
  isFull(): boolean;
  readonly ended: Promise<void>;
  end(): void;
};

const REPLY_MS_MAX = 2_000;
const LOOK_EVERY_MS = 1_000;
const PING: RoundTrip = { engine: "redis", operation: "ping" };

type Line = {
  readonly ask: Ask;
  readonly ended: Promise<void>;
  readonly isAlive: () => boolean;
  readonly end: () => void;
  /** Takes no more commands, and ends when those that were sent are answered. */
  readonly lose: () => void;
};

/** Connects, and looks whether the server may be used. Rejects with `EngineFault` where it may not. */
export async function makeContact(client: RedisClient, options: ContactOptions): Promise<Contact> {
  const { time, trial, onFindings } = options;
  const line = await openLine(client, time);
  try {
    const { runId, tellsInfo, findings } = await look(line.ask, trial);
    onFindings(findings);
    const refused = findings.filter(({ verdict }) => verdict === "refused");
    let full = refused.find(isOfMemory) ?? null;
    if (refused.some((finding) => finding !== full)) {
      throw new EngineFault("redis", "not-applied", sentenceOf(refused));
    }
    const heard = (error: unknown): void => {
      if (isFull(error) && trial !== null) onFindings([(full = unusable(error))]);
      if (!isUnusable(error)) return;
      onFindings([unusable(error)]);
      line.lose();
    };
    /** Of a server that is there: what it says of itself, and whether it has room again. */
    const lookAgain = async (): Promise<readonly Finding[]> => {
      const said = await timed(PING, async () => line.ask(tellsInfo ? "INFO" : "PING"));
      if (full !== null && (await trial?.hasRoom(line.ask)) === true) full = null;
      const judged = tellsInfo ? judgeServer(serverFacts(String(said))) : [];
      return full === null ? judged : [...judged, full];
    };
    void keepLooking(line, { time, onFindings, lookAgain, heard });
    const { isAlive, ended, end } = line;
    const session = sessionOn(line.ask, runId, heard);
    return { session, isAlive, isFull: () => full !== null, ended, end };
  } catch (error) {
    line.end();
    throw redisFault(error);
  }
}

function isOfMemory({ what }: Finding): boolean {
  return what === "memory";
}

/** All that can be told of a server: what is refused, what is only worth a warning, and what is right. */
export async function look(
  ask: Ask,
  trial: Trial | null,
): Promise<{
  readonly runId: string;
  /** False where the user may not ask for INFO. */
  readonly tellsInfo: boolean;
  readonly findings: readonly Finding[];
}> {
  const [info, rights] = await Promise.all([askForInfo(ask), trial?.rights(ask) ?? []]);
  const facts = serverFacts(info ?? "");
  const judged = info === null ? [INFO_HIDDEN] : judgeServer(facts);
  // What a server says of itself it says again when it refuses for it.
  const told = new Set(judged.map(({ what, verdict }) => `${what} ${verdict}`));
  const findings = [...judged, ...rights.filter((one) => !told.has(`${one.what} ${one.verdict}`))];
  return { runId: facts.runId, tellsInfo: info !== null, findings };
}

const INFO_HIDDEN: Finding = {
  engine: "redis",
  what: "INFO",
  found: "Redis does not allow INFO: its version, persistence, eviction and restarts are not seen",
  verdict: "warning",
  advice:
    "allow it (ACL SETUSER ... +info), or see to it yourself that maxmemory-policy is noeviction and know " +
    "that after a restart some may be let in who then hear that all coupons are gone",
};

/** Null where the user has no right to it, or it was taken away. */
async function askForInfo(ask: Ask): Promise<string | null> {
  try {
    return String(await ask("INFO"));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Rejects with what kept the connection from coming about, in the words of whoever said it. */
export async function openLine(client: RedisClient, time: Time): Promise<Line> {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  let alive = true;
  let waiting = 0;
  let broken: unknown = null;
  const end = (): void => {
    alive = false;
    resolve();
    client.destroy();
  };
  const endWhenAnswered = (): void =>
    time.endOfTurn(() => {
      if (waiting === 0) end();
    });
  client.on("error", (error) => {
    broken ??= error ?? null;
    end();
  });
  client.on("end", end);
  const within = async (msMax: number, run: () => Promise<unknown>): Promise<unknown> => {
    waiting += 1;
    try {
      return await withDeadline(time, msMax, { run, late: end });
    } catch (error) {
      // What ended the connection says more than that it has ended.
      throw redisFault(replyOf(error) === null ? (broken ?? error) : error);
    } finally {
      waiting -= 1;
      if (!alive) endWhenAnswered();
    }
  };
  try {
    await within(CONNECT_MS_MAX, async () => client.connect());
  } catch (error) {
    end();
    throw error;
  }
  return {
    ask: async (...command) => within(REPLY_MS_MAX, async () => client.sendCommand(command)),
    ended,
    isAlive: () => alive,
    end,
    lose() {
      alive = false;
      if (waiting === 0) endWhenAnswered();
    },
  };
}

function sessionOn(ask: Ask, runId: string, heard: (error: unknown) => void): RedisSession {
  const send: Ask = async (...command) => {
    try {
      return await ask(...command);
    } catch (error) {
      heard(error);
      throw error;
    }
  };
  return {
    runId,
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

type Watch = Omit<ContactOptions, "trial"> & {
  readonly lookAgain: () => Promise<readonly Finding[]>;
  readonly heard: (error: unknown) => void;
};

/** Looks every second, so that a lost connection or primary is known before a claim needs it. */
async function keepLooking(
  { ended, end }: Line,
  { time, onFindings, lookAgain, heard }: Watch,
): Promise<void> {
  const over = new AbortController();
  void ended.then(() => over.abort());
  while (!over.signal.aborted) {
    await time.sleep(LOOK_EVERY_MS, over.signal);
    if (over.signal.aborted) return;
    try {
      const findings = await lookAgain();
      onFindings(findings);
      if (findings.some((one) => one.verdict === "refused" && !isOfMemory(one))) end();
    } catch (error) {
      // What has no answer has ended the connection, which is all that there is to do about it.
      heard(error);
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
