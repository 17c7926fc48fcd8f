import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freePort } from "@stampede/launcher";

import { isAlive } from "./operator.ts";
import type { Shop } from "./run-sale.ts";
import { readStoredSale } from "./stored-sale.ts";
import { within } from "./watchers.ts";

/** The server to rush, with the server's process where it is known. */
export type OpenShop = Shop & {
  /** Null where it cannot be known; another one after a restart. */
  readonly pid: () => number | null;
  /** The processes that are known: server, postgres, redis, kafka. */
  readonly pids: () => Readonly<Record<string, number>>;
  readonly databaseUrl: string;
  /** Null where it is not known, or off. */
  readonly redisUrl: string | null;
  /** Null where they are not known, or off. */
  readonly kafkaBrokers: string | null;
  readonly origin: string;
};

type Say = (text: string) => void;

const root = join(import.meta.dirname, "..", "..");
/** What `npm start` runs. */
const stampede = ["packages/launcher/src/start.ts", "packages/api/src/main.ts"];
/** The first start of all may fetch engines. */
const readyMsMax = 300_000;
/** The server drains first, then each engine has its own time; together that is under a minute. */
const stopMsMax = 60_000;
const tellEveryMs = 5_000;
const logLinesShown = 20;

/** A server elsewhere: who may operate it and where its rows are comes from the environment. */
export function shopAt(url: string, environment: NodeJS.ProcessEnv): OpenShop {
  const { ADMIN_TOKEN: adminToken, DATABASE_URL: databaseUrl } = environment;
  const missing = [
    ...(adminToken ? [] : ["ADMIN_TOKEN (the operator's token of that server)"]),
    ...(databaseUrl ? [] : ["DATABASE_URL (its database, for the verdict)"]),
  ];
  if (!adminToken || !databaseUrl) {
    throw new Error(`--url needs ${missing.join(" and ")} in the environment.`);
  }
  const redisUrl = environment["REDIS_URL"] || null;
  const kafkaBrokers = environment["KAFKA_BROKERS"] || null;
  const origin = `the server at ${url}`;
  return shopOf({ url, adminToken, pids: () => ({}), databaseUrl, redisUrl, kafkaBrokers, origin });
}

/** What `npm start` runs in this folder; null when nothing does. */
export async function runningShop(folder = join(root, ".stampede")): Promise<OpenShop | null> {
  const found = readShop(folder, `the running server of ${folder}`);
  const pid = found?.pid() ?? null;
  if (found === null || pid === null || !isRunning(pid)) return null;
  return (await isAlive(found.url)) ? found : null;
}

/**
 * Starts a private program on a free port with data in a temporary folder. `cleanups` gets what
 * must run at the end, also when this fails or is interrupted half-way.
 */
export async function startPrivateShop(
  cleanups: AsyncDisposableStack,
  say: Say,
  program: readonly string[] = stampede,
  environment: Readonly<Record<string, string>> = {},
): Promise<OpenShop> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-rush-"));
  cleanups.defer(() => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, "data");
  const port = await freePort();
  // An interrupt meanwhile has cleaned up already; a program started now would be left behind.
  if (cleanups.disposed) throw new Error("The start was interrupted.");
  const logPath = join(folder, "program.log");
  const log = openSync(logPath, "a", 0o600);
  const child = spawn(process.execPath, [...program, "--data", data], {
    cwd: root,
    env: { ...withoutEngines(process.env), ...environment, PORT: String(port), HOST: "127.0.0.1" },
    stdio: ["ignore", log, log],
    // Its own process group: Ctrl-C in the terminal reaches this process, which stops it once.
    detached: true,
  });
  closeSync(log);
  cleanups.defer(() => stop(child, data, say));
  say("starting a private program (PostgreSQL, Redis, Kafka and the server) ...");
  const startMs = performance.now();
  let toldMs = startMs;
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  await within(readyMsMax, () => {
    if (performance.now() - toldMs > tellEveryMs) {
      toldMs = performance.now();
      say(`... ${Math.round((toldMs - startMs) / 1_000)} s: ${lastLines(logPath, 1)}`);
    }
    return isOver() || readShop(data, "") !== null;
  });
  const shop = readShop(data, "a private program");
  if (shop !== null && !isOver() && (await isAlive(shop.url))) return shop;
  throw new Error(
    `The private program did not come up. The end of its output:\n${lastLines(logPath, logLinesShown)}`,
  );
}

/** A private program brings its own engines and its own token, whatever the shell has set. */
function withoutEngines(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = { ...environment };
  for (const name of [
    "DATABASE_URL",
    "REDIS_URL",
    "KAFKA_BROKERS",
    "ADMIN_TOKEN",
    "ROLE",
    "AUTH",
  ]) {
    delete own[name];
  }
  return own;
}

async function stop(child: ChildProcess, data: string, say: Say): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  say("stopping the private program ...");
  const pids = enginePids(data);
  const gone = once(child, "exit");
  child.kill("SIGINT");
  const inTime = await Promise.race([
    gone,
    new Promise((r) => setTimeout(r, stopMsMax, null).unref()),
  ]);
  if (inTime !== null) return;
  // A launcher that hangs would leave engines behind: nothing of ours stays running.
  say(`it did not stop within ${stopMsMax / 1_000} s; killing it and its engines`);
  child.kill("SIGKILL");
  for (const pid of Object.values(pids).filter(isRunning)) process.kill(pid, "SIGKILL");
}

function enginePids(data: string): Record<string, number> {
  const pids = readJson(join(data, "engines.json"))?.["pids"];
  if (typeof pids !== "object" || pids === null) return {};
  return Object.fromEntries(Object.entries(pids).filter(([, pid]) => Number(pid) > 0));
}

/** What answers claims, without the launcher: it sleeps while they run. */
function shopPids(folder: string): Record<string, number> {
  const { launcher: _, ...pids } = enginePids(folder);
  return pids;
}

function readShop(folder: string, origin: string): OpenShop | null {
  const server = readJson(join(folder, "server.json"));
  const { databaseUrl, redisUrl, kafkaBrokers } = readJson(join(folder, "engines.json")) ?? {};
  const { url, adminToken, pid } = server ?? {};
  if (typeof url !== "string" || typeof adminToken !== "string") return null;
  if (typeof databaseUrl !== "string") return null;
  // The launcher notes the server's own process, also after it has restarted it.
  const noted = Number(pid) > 0 ? { server: Number(pid) } : {};
  return shopOf({
    url: new URL(url).origin,
    adminToken,
    pids: () => ({ ...noted, ...shopPids(folder) }),
    databaseUrl,
    redisUrl: typeof redisUrl === "string" ? redisUrl : null,
    kafkaBrokers: typeof kafkaBrokers === "string" ? kafkaBrokers : null,
    origin,
  });
}

/** A shop whose rows are read from its database. */
export function shopOf(server: Omit<OpenShop, "pid" | "readSale">): OpenShop {
  return {
    ...server,
    pid: () => server.pids()["server"] ?? null,
    readSale: (eventId) => readStoredSale(server.databaseUrl, eventId),
  };
}

function readJson(path: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof value === "object" && value !== null ? { ...value } : null;
  } catch {
    // Not there yet, or half written: the caller looks again or does without.
    return null;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // Signal 0 only asks; an error means that there is no such process of ours.
    return false;
  }
}

function lastLines(path: string, count: number): string {
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-count).join("\n");
}
