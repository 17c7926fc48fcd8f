// What the engines say of themselves: versions, durability, and the clock that rows are stamped by.
import { readFileSync } from "node:fs";
import { once } from "node:events";
import { connect } from "node:net";

import { withDatabase } from "../crowd/database.ts";

type Facts = Readonly<Record<string, string>>;

/** Versions of the engines, and what they promise to keep. */
export type EngineFacts = { readonly versions: Facts; readonly durability: Facts };

const connectMsMax = 5_000;
const unasked = "The database cannot be asked for its clock and version";
const clockSamples = 7;

const settings = ["fsync", "synchronous_commit", "full_page_writes"] as const;

/** Asks each engine that can be reached; what cannot be learned is left out. */
export async function engineFacts(shop: {
  readonly databaseUrl: string;
  readonly redisUrl: string | null;
  readonly pids: () => Readonly<Record<string, number>>;
}): Promise<EngineFacts> {
  const postgres = await postgresFacts(shop.databaseUrl);
  const redis = shop.redisUrl === null ? none : await redisFacts(shop.redisUrl);
  const kafka = kafkaVersion(shop.pids()["kafka"] ?? null);
  return {
    versions: { ...postgres.versions, ...redis.versions, ...(kafka === null ? {} : { kafka }) },
    durability: { ...postgres.durability, ...redis.durability },
  };
}

const none: EngineFacts = { versions: {}, durability: {} };

async function postgresFacts(databaseUrl: string): Promise<EngineFacts> {
  const names = ["server_version", ...settings];
  return withDatabase(databaseUrl, unasked, async (client) => {
    const { rows } = await client.query<{ name: string; setting: string }>(
      "SELECT name, setting FROM pg_settings WHERE name = ANY($1)",
      [names],
    );
    const setting = new Map(rows.map(({ name, setting }) => [name, setting]));
    return {
      versions: { postgres: setting.get("server_version") ?? "unknown" },
      durability: Object.fromEntries(
        settings.map((name) => [`postgres ${name}`, setting.get(name) ?? "unknown"]),
      ),
    };
  });
}

/**
 * What has to be added to this process's monotonic clock to get the database's, in milliseconds. The
 * sample with the shortest round trip is off by half of that at most.
 */
export async function databaseClock(databaseUrl: string): Promise<number> {
  return withDatabase(databaseUrl, unasked, async (client) => {
    let best = { roundTripMs: Infinity, offsetMs: 0 };
    for (let sample = 0; sample < clockSamples; sample++) {
      const askedMs = performance.now();
      const { rows } = await client.query<{ now_ms: number }>(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms",
      );
      const toldMs = performance.now();
      const roundTripMs = toldMs - askedMs;
      const nowMs = rows[0]?.now_ms ?? Number.NaN;
      if (roundTripMs < best.roundTripMs) {
        best = { roundTripMs, offsetMs: nowMs - (askedMs + toldMs) / 2 };
      }
    }
    return best.offsetMs;
  });
}

/** What the engines have counted since they started: commands of Redis (0 where it is off), transactions. */
export async function engineCounts(shop: {
  readonly databaseUrl: string;
  readonly redisUrl: string | null;
}): Promise<{ readonly commands: number; readonly transactions: number }> {
  const said = shop.redisUrl === null ? "" : await askRedis(shop.redisUrl, [["INFO", "stats"]]);
  const commands = Number(/total_commands_processed:(\d+)/.exec(said)?.[1] ?? 0);
  return withDatabase(shop.databaseUrl, unasked, async (client) => {
    const { rows } = await client.query<{ count: number }>(
      `SELECT (xact_commit + xact_rollback)::float8 AS count
         FROM pg_stat_database WHERE datname = current_database()`,
    );
    return { commands, transactions: rows[0]?.count ?? 0 };
  });
}

/** Some commands and a good-bye, by hand: a client would be a dependency for two words. */
async function askRedis(
  redisUrl: string,
  commands: readonly (readonly string[])[],
): Promise<string> {
  const { hostname, port, username, password } = new URL(redisUrl);
  const secret = [username, password].filter((word) => word !== "").map(decodeURIComponent);
  const signIn = secret.length === 0 ? [] : [["AUTH", ...secret]];
  const address = { host: hostname, port: Number(port || 6379) };
  return conversation(address, [...signIn, ...commands, ["QUIT"]]);
}

async function redisFacts(redisUrl: string): Promise<EngineFacts> {
  const said = await askRedis(redisUrl, [
    ["INFO", "server"],
    ["CONFIG", "GET", "append*"],
  ]);
  const version = /redis_version:(\S+)/.exec(said)?.[1];
  const setting = (name: string): string | undefined =>
    new RegExp(`\\r\\n${name}\\r\\n\\$\\d+\\r\\n(\\S+)`).exec(said)?.[1];
  const kept = ["appendonly", "appendfsync"].flatMap((name) => {
    const value = setting(name);
    return value === undefined ? [] : [[`redis ${name}`, value]];
  });
  return {
    versions: version === undefined ? {} : { redis: version },
    durability: Object.fromEntries(kept),
  };
}

async function conversation(
  address: { readonly host: string; readonly port: number },
  commands: readonly (readonly string[])[],
): Promise<string> {
  const socket = connect(address);
  socket.setTimeout(connectMsMax, () => socket.destroy());
  const encoded = commands.map(
    (words) =>
      `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`,
  );
  let said = "";
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => (said += text));
  // Redis away is no fault of the comparison's: its version is then not known.
  socket.on("error", () => undefined);
  socket.write(encoded.join(""));
  await once(socket, "close");
  return said;
}

/** A broker does not tell its version by a simple question; its jars' folder has it in its name. */
function kafkaVersion(pid: number | null): string | null {
  if (pid === null) return null;
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return /\bkafka(?:_[\d.]+)?-(\d+\.\d+\.\d+)/.exec(command)?.[1] ?? null;
  } catch {
    // No /proc on this system, or another user's process.
    return null;
  }
}
