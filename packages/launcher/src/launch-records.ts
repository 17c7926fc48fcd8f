import { rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { EngineName, RunningEngine } from "./engine.ts";
import { fieldsOf, readJsonFile, writePrivateFile } from "./private-file.ts";
import type { RunningServer } from "./server.ts";

/** What runs now. An engine is null while it is off or away, and has no process when external. */
export type Running = {
  server: RunningServer | null;
  readonly engines: Record<EngineName, RunningEngine | null>;
};

/** The addresses that the server is given; null for an engine that is off. */
export type EngineUrls = Readonly<Record<EngineName, string | null>>;

export type LaunchRecords = {
  /** Who holds the data folder, from the very start. */
  claim(url: string): void;
  /** What local tools look up: engines.json and server.json, whole at any moment. */
  write(running: Running, urls: EngineUrls, server: { url: string; adminToken: string }): void;
  /** After a clean stop nothing may look as if it ran. */
  remove(): void;
};

const launcherFile = "launcher.json";
const enginesFile = "engines.json";
const serverFile = "server.json";

/** The files of a data folder that say what runs on it, readable by their owner only. */
export function launchRecords(dataFolder: string): LaunchRecords {
  const write = (file: string, content: object): void => {
    writePrivateFile(join(dataFolder, file), `${JSON.stringify(content, null, 2)}\n`);
  };
  return {
    claim: (url) => write(launcherFile, { pid: process.pid, host: hostname(), url }),
    write(running, urls, server) {
      const { postgres, redis, kafka } = running.engines;
      write(enginesFile, {
        databaseUrl: urls.postgres,
        redisUrl: urls.redis,
        kafkaBrokers: urls.kafka,
        pids: {
          launcher: process.pid,
          server: running.server?.pid ?? null,
          postgres: postgres?.pid ?? null,
          redis: redis?.pid ?? null,
          kafka: kafka?.pid ?? null,
        },
      });
      write(serverFile, { ...server, pid: running.server?.pid ?? null });
    },
    remove() {
      for (const file of [enginesFile, serverFile, launcherFile]) {
        rmSync(join(dataFolder, file), { force: true });
      }
    },
  };
}

/** The engines of the launcher that holds the folder; null where one is off, or not told yet. */
export function recordedUrls(dataFolder: string): EngineUrls {
  const fields = fieldsOf(readJsonFile(join(dataFolder, enginesFile)));
  const urlOf = (name: string): string | null => {
    const url = fields[name];
    return typeof url === "string" ? url : null;
  };
  return {
    postgres: urlOf("databaseUrl"),
    redis: urlOf("redisUrl"),
    kafka: urlOf("kafkaBrokers"),
  };
}

/** The launcher that holds the folder, as far as it has said who it is. */
export function holderOf(dataFolder: string): {
  readonly pid: number | null;
  readonly host: string | null;
  readonly url: string;
} {
  const { pid, url, host } = fieldsOf(readJsonFile(join(dataFolder, launcherFile)));
  return {
    pid: typeof pid === "number" ? pid : null,
    host: typeof host === "string" ? host : null,
    url: typeof url === "string" ? url : "address unknown",
  };
}
