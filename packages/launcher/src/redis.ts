import { spawnSync } from "node:child_process";
import { chmodSync, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "redis";
import type { EngineOptions, RunningEngine } from "./engine.ts";
import { EngineUnavailable } from "./engine.ts";
import { startInHome } from "./engine-home.ts";
import { fetchByMaven } from "./maven.ts";
import type { FetchOptions } from "./maven.ts";
import { keptSecret, writePrivateFile } from "./private-file.ts";

// The names inside the Maven artifact, by the platform and processor that Node reports.
const packedNames: Readonly<Record<string, string>> = {
  "linux-x64": "redis-server-6.2.6-v5-linux-amd64",
  "linux-arm64": "redis-server-6.2.7-linux-arm64",
  "darwin-x64": "redis-server-6.2.6-v5-darwin-amd64",
  "darwin-arm64": "redis-server-6.2.6-v5-darwin-arm64",
};

const remedy =
  "Install redis-server (Debian: apt-get install redis-server) or Maven with Java " +
  "(apt-get install maven default-jre-headless), or set REDIS_URL.";

const versionMin = { major: 6, minor: 2 };
const readyMsMax = 30_000;
const orderlyMs = 10_000;
const answerMsMax = 2_000;

/**
 * Starts Redis with everything on disk before it answers: the reservations of v2 must outlive a
 * crash, or the door would have to be rebuilt from PostgreSQL each time.
 */
export async function startRedis(options: EngineOptions): Promise<RunningEngine> {
  const command = await findRedis(options);
  const place = { name: "redis", mode: 0o700, stopSignal: "SIGTERM" } as const;
  return startInHome(place, options, async (home) => {
    const password = keptSecret(join(home.folder, "password"));
    // In a file and not in arguments, which every user of the machine can read.
    writePrivateFile(join(home.folder, "redis.conf"), configuration(home.port, password));
    const url = `redis://:${password}@127.0.0.1:${home.port}`;
    const plan = {
      command,
      args: ["redis.conf"],
      environment: { PATH: process.env["PATH"], LC_ALL: "C" },
      stopSignal: place.stopSignal,
      orderlyMs,
      check: () => answersPing(url),
      waitMsMax: readyMsMax,
      signal: options.signal,
    };
    return home.run(plan, url);
  });
}

function configuration(port: number, password: string): string {
  return [
    "bind 127.0.0.1",
    `port ${port}`,
    "protected-mode yes",
    `requirepass ${password}`,
    "daemonize no",
    // The folder it is started in.
    "dir ./",
    "appendonly yes",
    "appendfsync always",
    'save ""',
    "maxmemory-policy noeviction",
    "",
  ].join("\n");
}

/** The path of a Redis or Valkey server; fetched at the first call where none is installed. */
export async function findRedis(options: FetchOptions = {}): Promise<string> {
  const installed = findOnPath();
  if (installed !== null) return installed;
  const packed = packedNames[`${process.platform}-${process.arch}`];
  if (packed === undefined) {
    throw new EngineUnavailable("redis", {
      reason: `there is no redis-server on the PATH and none packed for ${process.platform}-${process.arch}.`,
      remedy,
    });
  }
  const folder = await fetchByMaven({
    engine: "redis",
    title: "Redis 6.2",
    sizeMb: 12,
    folderName: "redis-6.2",
    pomPath: fileURLToPath(new URL("redis.pom.xml", import.meta.url)),
    goal: "unpack-dependencies",
    settings: { includeArtifactIds: "embedded-redis", "mdep.unpack.includes": packed },
    prepare: (fetched) => chmodSync(join(fetched, packed), 0o755),
    remedy,
    options,
  });
  return join(folder, packed);
}

function findOnPath(): string | null {
  for (const name of ["redis-server", "valkey-server"]) {
    for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
      const path = join(folder, name);
      if (folder !== "" && existsSync(path) && isRecentEnough(path)) return path;
    }
  }
  return null;
}

function isRecentEnough(path: string): boolean {
  const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  const found = /\bv=(?<major>\d+)\.(?<minor>\d+)/.exec(stdout ?? "")?.groups;
  if (status !== 0 || found === undefined) return false;
  const [major, minor] = [Number(found["major"]), Number(found["minor"])];
  return major > versionMin.major || (major === versionMin.major && minor >= versionMin.minor);
}

async function answersPing(url: string): Promise<boolean> {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: false, connectTimeout: answerMsMax },
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.ping()) === "PONG";
  } catch {
    // Not listening yet, or still reading its file: asked again until the deadline.
    return false;
  } finally {
    if (client.isOpen) client.destroy();
  }
}
