import { randomBytes } from "node:crypto";

export type Role = "all" | "api" | "decider";

/** Everything the environment can say, read once. */
export type Config = {
  readonly port: number;
  readonly host: string;
  /** Null: this engine is off, and with it the mechanisms that need it. PostgreSQL is always needed. */
  readonly databaseUrl: string;
  readonly redisUrl: string | null;
  readonly kafkaBrokers: readonly string[] | null;
  readonly adminToken: string;
  /** True where the token was made here: start-up then prints it once. */
  readonly adminTokenIsNew: boolean;
  readonly role: Role;
  readonly logLevel: string;
};

export type ConfigReading =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly faults: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;

const ADMIN_TOKEN_CHARACTERS_MIN = 16;
const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];
const ROLES: readonly Role[] = ["all", "api", "decider"];

/** Reads the environment and lists every fault in it together. An empty variable counts as unset. */
export function readConfig(environment: Environment): ConfigReading {
  const faults: string[] = [];
  const read = (name: string): string | null => environment[name]?.trim() || null;

  const auth = read("AUTH") ?? "dev";
  if (auth === "jwt") {
    faults.push(
      "AUTH=jwt is not built yet: only AUTH=dev is, so keep this service off the internet",
    );
  } else if (auth !== "dev") {
    faults.push(`AUTH must be dev, not ${auth}`);
  }
  const databaseUrl = read("DATABASE_URL") ?? "";
  if (databaseUrl === "") {
    faults.push("DATABASE_URL is not set: name a PostgreSQL, or let `npm start` run its own");
  } else if (!isUrl(databaseUrl, ["postgres:", "postgresql:"])) {
    faults.push("DATABASE_URL must be a URL that begins with postgres://");
  }
  const redisUrl = read("REDIS_URL");
  if (redisUrl !== null && !isUrl(redisUrl, ["redis:", "rediss:"])) {
    faults.push("REDIS_URL must be a URL that begins with redis:// or rediss://");
  }
  const kafkaBrokers =
    read("KAFKA_BROKERS")
      ?.split(",")
      .map((broker) => broker.trim()) ?? null;
  if (kafkaBrokers !== null && !kafkaBrokers.every((broker) => /^[^\s:]+:\d{1,5}$/.test(broker))) {
    faults.push("KAFKA_BROKERS must be host:port, several separated by commas");
  }
  const port = Number(read("PORT") ?? "3000");
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    faults.push("PORT must be a whole number from 0 to 65535");
  }
  const role = ROLES.find((known) => known === (read("ROLE") ?? "all"));
  if (role === undefined) faults.push(`ROLE must be one of ${ROLES.join(", ")}`);
  const logLevel = read("LOG_LEVEL") ?? "info";
  if (!LOG_LEVELS.includes(logLevel)) {
    faults.push(`LOG_LEVEL must be one of ${LOG_LEVELS.join(", ")}`);
  }
  const givenToken = read("ADMIN_TOKEN");
  if (givenToken !== null && !/^[\x21-\x7e]+$/.test(givenToken)) {
    faults.push("ADMIN_TOKEN must consist of visible ASCII characters");
  } else if (givenToken !== null && givenToken.length < ADMIN_TOKEN_CHARACTERS_MIN) {
    faults.push(`ADMIN_TOKEN must have at least ${ADMIN_TOKEN_CHARACTERS_MIN} characters`);
  }
  if (faults.length > 0 || role === undefined) return { ok: false, faults };
  const config: Config = {
    port,
    host: read("HOST") ?? "127.0.0.1",
    databaseUrl,
    redisUrl,
    kafkaBrokers,
    adminToken: givenToken ?? randomBytes(24).toString("base64url"),
    adminTokenIsNew: givenToken === null,
    role,
    logLevel,
  };
  return { ok: true, config };
}

function isUrl(text: string, protocols: readonly string[]): boolean {
  return URL.canParse(text) && protocols.includes(new URL(text).protocol);
}
