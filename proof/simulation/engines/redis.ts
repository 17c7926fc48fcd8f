// A simulated Redis: a keyspace, the scripts by their hashes, and the run of a server. What it has
// can be lost, or be that of an earlier moment, after any restart.
import {
  claimScript,
  deleteScript,
  mergeScript,
  rebuildScript,
} from "@stampede/infrastructure/src/redis-counter/scripts.ts";
import { ClientClosedError, ErrorReply } from "redis";
import type { RedisClient } from "@stampede/infrastructure/src/engines/redis/open.ts";
import type { Faults } from "../faults.ts";
import { Wire } from "../network.ts";
import type { Random } from "../random.ts";
import type { Process, Scheduler } from "../scheduler.ts";
import { claim, deleteAll, hashOf, merge, rebuild } from "./redis-scripts.ts";
import type { Keyspace, ScriptRun } from "./redis-scripts.ts";

const SCRIPTS: ReadonlyMap<string, { readonly source: string; readonly run: ScriptRun }> = new Map([
  [claimScript.sha1, { source: claimScript.source, run: claim }],
  [deleteScript.sha1, { source: deleteScript.source, run: deleteAll }],
  [mergeScript.sha1, { source: mergeScript.source, run: merge }],
  [rebuildScript.sha1, { source: rebuildScript.source, run: rebuild }],
]);

export class RedisServer {
  readonly #random: Random;
  keys: Keyspace = new Map();
  runId: string;
  up = true;
  readonly #loaded = new Set<string>();
  readonly #clients = new Set<() => void>();
  #copy: Keyspace = new Map();
  onMissingScript: () => void = () => undefined;
  /** Called after every script that ran. */
  onScript: (command: readonly string[], answer: unknown) => void = () => undefined;

  constructor(random: Random) {
    this.#random = random;
    this.runId = random.token();
  }

  /** The server stops; `up = true` brings it back as another run. */
  stop(): void {
    this.up = false;
    this.#loaded.clear();
    this.runId = this.#random.token();
    for (const end of this.#clients) end();
    this.#clients.clear();
  }

  empty(): void {
    this.keys = new Map();
  }

  takeCopy(): void {
    this.#copy = copyOf(this.keys);
  }

  /** What it was when the copy was taken. */
  restoreCopy(): void {
    this.keys = copyOf(this.#copy);
  }

  flushScripts(): void {
    this.#loaded.clear();
  }

  attach(onEnd: () => void): () => void {
    this.#clients.add(onEnd);
    return () => void this.#clients.delete(onEnd);
  }

  /** Runs one command to its end; nothing else happens meanwhile. Throws `ErrorReply`. */
  execute(command: readonly string[]): unknown {
    const [name = "", ...args] = command;
    const answer = this.#answer(name, args);
    if (name === "EVALSHA") this.onScript(command, answer);
    return answer;
  }

  #answer(name: string, args: readonly string[]): unknown {
    const [key = ""] = args;
    switch (name) {
      case "PING":
        return "PONG";
      case "INFO":
        return `run_id:${this.runId}\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nloading:0\r\n`;
      case "HMGET":
        return args.slice(1).map((field) => hashOf(this.keys, key).get(field) ?? null);
      case "GET":
        return this.#number(key, 0) === 0 ? null : String(this.#number(key, 0));
      case "INCR":
        return this.#number(key, 1);
      case "DECR":
        return this.#number(key, -1);
      case "HGET":
        return hashOf(this.keys, key).get(args[1] ?? "") ?? null;
      case "HSET":
      case "HDEL":
        return this.#change(name, args);
      case "HLEN":
        return hashOf(this.keys, key).size;
      case "HSCAN":
        return ["0", [...hashOf(this.keys, key)].flat()];
      case "SCAN":
        // Of each key there is only the hash tag's pattern to match, and one page has all.
        return ["0", [...this.keys.keys()].filter((name) => /^stampede:\{.*\}:/.test(name))];
      case "SCRIPT":
        return this.#load(args[1] ?? "");
      case "EVALSHA":
        return this.#evaluate(args);
      default:
        throw new Error(`the simulated Redis does not know ${name}`);
    }
  }

  /** The commands that the scripts are made of; a mechanism that used them alone would be wrong. */
  #number(key: string, by: number): number {
    const number = Number(this.keys.get(key) ?? 0) + by;
    if (by !== 0) this.keys.set(key, String(number));
    return number;
  }

  #change(name: "HSET" | "HDEL", [key = "", field = "", value = ""]: readonly string[]): number {
    const hash = new Map(hashOf(this.keys, key));
    if (name === "HSET") hash.set(field, value);
    else hash.delete(field);
    this.keys.set(key, hash);
    return 1;
  }

  #load(source: string): string {
    for (const [sha1, script] of SCRIPTS) {
      if (script.source !== source) continue;
      this.#loaded.add(sha1);
      return sha1;
    }
    throw new Error("the simulated Redis does not know this script");
  }

  #evaluate([sha1 = "", count = "", ...rest]: readonly string[]): unknown {
    const script = SCRIPTS.get(sha1);
    if (script === undefined) throw new Error("the simulated Redis does not know this script");
    if (!this.#loaded.has(sha1)) {
      this.onMissingScript();
      throw new ErrorReply("NOSCRIPT No matching script.");
    }
    return script.run(this.keys, rest.slice(0, Number(count)), rest.slice(Number(count)));
  }
}

function copyOf(keys: Keyspace): Keyspace {
  return new Map(
    [...keys].map(([name, value]) => [name, typeof value === "string" ? value : new Map(value)]),
  );
}

export type RedisLink = {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly server: RedisServer;
};

/** One connection of a process; as `redis` without reconnecting and without an offline queue. */
export function redisClient(link: RedisLink, process: Process): RedisClient {
  const { scheduler, random, faults, server } = link;
  const there = new Wire(scheduler, random);
  const back = new Wire(scheduler, random);
  const listeners: (() => void)[] = [];
  const waiting = new Set<(error: Error) => void>();
  let state: "new" | "open" | "closed" = "new";
  let detach = (): void => undefined;

  const close = (error: Error): void => {
    if (state === "closed") return;
    state = "closed";
    detach();
    for (const reject of waiting) reject(error);
    waiting.clear();
    for (const listener of listeners) listener();
  };
  const cut = (): void => back.send(process, () => close(new Error("Socket closed unexpectedly")));

  return {
    on: (_, listener) => listeners.push(listener),
    async connect() {
      await new Promise<void>((resolve, reject) => {
        there.send(null, () => {
          if (server.up) detach = server.attach(cut);
          const { up } = server;
          back.send(process, () => {
            state = up ? "open" : "closed";
            if (up) resolve();
            else reject(new Error("connect ECONNREFUSED"));
          });
        });
      });
    },
    async sendCommand(command) {
      if (state !== "open") throw new ClientClosedError();
      return new Promise((resolve, reject) => {
        waiting.add(reject);
        const settle = (deliver: () => void, lateMs = 0): void =>
          back.send(
            process,
            () => {
              waiting.delete(reject);
              deliver();
            },
            lateMs,
          );
        const to = `redis ${command[0]}`;
        const fault = faults.ofMessage(scheduler.nowMs, to, [
          "cut-before",
          "cut-after",
          "refused",
          "late-reply",
          "slow",
        ]);
        if (fault === "cut-before") return cut();
        const extraMs = fault === "slow" ? random.between(20, 700) : 0;
        const leftMs = Math.max(0, faults.healsAtMs - scheduler.nowMs);
        const lateMs = fault === "late-reply" ? Math.min(random.between(300, 3_000), leftMs) : 0;
        there.send(
          null,
          () => {
            if (!server.up) return;
            try {
              if (fault === "refused") throw new ErrorReply("OOM command not allowed");
              const answer = server.execute(command);
              if (fault === "cut-after") cut();
              else settle(() => resolve(answer), lateMs);
            } catch (error) {
              if (!(error instanceof ErrorReply)) throw error;
              settle(() => reject(error), lateMs);
            }
          },
          extraMs,
        );
      });
    },
    destroy: () => close(new Error("Disconnects client")),
  };
}
