import { randomBytes } from "node:crypto";
import { readOrigins } from "./cors.ts";
import { readJwt } from "./jwt-settings.ts";
import type { JwtAuth, SettingsReader } from "./jwt-settings.ts";
import { readKafka } from "./kafka-settings.ts";
import type { KafkaSettings } from "./kafka-settings.ts";
import { openDoorFault } from "./open-door.ts";
import { readPem, redisUrlFault } from "./redis-address.ts";
import type { PemKind } from "./redis-address.ts";
import { settingsOf } from "./secret-files.ts";

type Role = "all" | "api" | "decider";

/** By what people and operators prove who they are. */
export type Auth =
  | {
      readonly kind: "dev";
      readonly adminToken: string;
      /** True where the token was made here: start-up then prints it once. */
      readonly adminTokenIsNew: boolean;
    }
  | JwtAuth;

/** Everything the environment can say, read once. */
export type Config = KafkaSettings & {
  readonly port: number;
  readonly host: string;
  /** Null: this engine is off, and with it the mechanisms that need it. PostgreSQL is always needed. */
  readonly databaseUrl: string;
  readonly redisUrl: string | null;
  /** PEM texts; null: the authorities that everybody knows, and no certificate of ours. */
  readonly redisTls: {
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
  };
  readonly auth: Auth;
  readonly role: Role;
  /** Connections to PostgreSQL, at most. */
  readonly poolSizes: {
    readonly shared: number;
    readonly decisions: number;
    readonly rowLock: number;
  };
  /** Server processes on the one port; with one there is no other process beside it. */
  readonly workers: number;
  /** How long the log of an event of v3 that is over is kept; null: for ever. */
  readonly keepLogMs: number | null;
  /** Pages of which origins may claim, ask and watch. */
  readonly corsOrigins: ReadonlySet<string>;
  /** How long a connection that says nothing is kept open for the next request. */
  readonly keepAliveMs: number;
  readonly logLevel: string;
};

export type ConfigReading =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly faults: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;
type Read = (name: string) => string | null;
type Whole = {
  readonly usual: number;
  readonly min: number;
  readonly max: number;
  /** What the lowest one stands for, behind it in the fault. */
  readonly minMeans?: string;
};

const ADMIN_TOKEN_CHARACTERS_MIN = 16;
/** One connection could be held by a single event's locked row. */
const POOL_SIZES = { min: 2, max: 100 };
const WORKERS_MAX = 64;
const KEEP_LOG_DAYS_MAX = 3_650;
const DAY_MS = 86_400_000;
/** Whoever is in front must let go first: deploy/nginx/nginx.conf does so after 50 s. */
const KEEP_ALIVE_SECONDS = { usual: 65, min: 55, minMeans: " (more than nginx keeps)", max: 3_600 };
const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];
const ROLES: readonly Role[] = ["all", "api", "decider"];

/** Reads the environment and lists every fault in it together. An empty variable counts as unset. */
export function readConfig(environment: Environment): ConfigReading {
  const faults: string[] = [];
  const read: Read = settingsOf(environment, faults);

  const host = read("HOST") ?? "127.0.0.1";
  const whole = (name: string, bounds: Whole): number => readWhole(name, bounds, { read, faults });
  const auth = readAuth({ read, whole, faults });
  const openDoor = openDoorFault(host, read("LET_ANYBODY_BE_ANYBODY"));
  if (openDoor !== null && auth?.kind === "dev") faults.push(openDoor);
  const databaseUrl = read("DATABASE_URL") ?? "";
  if (databaseUrl === "") {
    faults.push("DATABASE_URL is not set: name a PostgreSQL, or let `npm start` run its own");
  } else if (!isUrl(databaseUrl, ["postgres:", "postgresql:"])) {
    faults.push(
      "DATABASE_URL must be a URL that begins with postgres:// (in a password, %40 for @, %2F for /, " +
        "%3A for :, %23 for #, %3F for ?)",
    );
  }
  const redis = readRedis(read, faults);
  const kafka = readKafka(read, faults);
  const port = whole("PORT", { usual: 3_000, min: 0, max: 65_535 });
  const role = ROLES.find((known) => known === (read("ROLE") ?? "all"));
  if (role === undefined) faults.push(`ROLE must be one of ${ROLES.join(", ")}`);
  const poolSizes = {
    shared: whole("POOL_SHARED", { usual: 5, ...POOL_SIZES }),
    decisions: whole("POOL_DECISIONS", { usual: 4, ...POOL_SIZES }),
    rowLock: whole("POOL_ROW_LOCK", { usual: 4, ...POOL_SIZES }),
  };
  const workers = whole("WORKERS", { usual: 1, min: 1, max: WORKERS_MAX });
  const forEver = { min: 0, minMeans: " (for ever)" };
  const keepLogDays = whole("KEEP_LOG_DAYS", { usual: 7, ...forEver, max: KEEP_LOG_DAYS_MAX });
  const corsOrigins = readOrigins(read("CORS_ORIGINS"), faults);
  const keepAliveMs = whole("KEEP_ALIVE_SECONDS", KEEP_ALIVE_SECONDS) * 1_000;
  const logLevel = read("LOG_LEVEL") ?? "info";
  if (!LOG_LEVELS.includes(logLevel)) {
    faults.push(`LOG_LEVEL must be one of ${LOG_LEVELS.join(", ")}`);
  }
  if (faults.length > 0 || role === undefined || auth === null) return { ok: false, faults };
  const config: Config = {
    port,
    host,
    databaseUrl,
    ...redis,
    ...kafka,
    auth,
    role,
    poolSizes,
    workers,
    keepLogMs: keepLogDays === 0 ? null : keepLogDays * DAY_MS,
    corsOrigins,
    keepAliveMs,
    logLevel,
  };
  return { ok: true, config };
}

function readRedis(read: Read, faults: string[]): Pick<Config, "redisUrl" | "redisTls"> {
  const redisUrl = read("REDIS_URL");
  const fault = redisUrl === null ? null : redisUrlFault(redisUrl);
  if (fault !== null) faults.push(fault);
  const pem = (name: string, path: string | null, kind: PemKind): string | null => {
    if (path === null) return null;
    const isTls = redisUrl?.startsWith("rediss:") === true;
    if (!isTls) faults.push(`${name} is for TLS: REDIS_URL must begin with rediss://`);
    const file = readPem(path, kind);
    if ("text" in file) return file.text;
    faults.push(`${name}: ${file.fault}`);
    return null;
  };
  const [certPath, keyPath] = [read("REDIS_CERT"), read("REDIS_KEY")];
  if ((certPath === null) !== (keyPath === null)) {
    faults.push("REDIS_CERT and REDIS_KEY belong together: set both or neither");
  }
  const redisTls = {
    ca: pem("REDIS_CA", read("REDIS_CA"), "certificates"),
    cert: pem("REDIS_CERT", certPath, "certificates"),
    key: pem("REDIS_KEY", keyPath, "private key"),
  };
  return { redisUrl, redisTls };
}

function readWhole(
  name: string,
  { usual, min, max, minMeans = "" }: Whole,
  { read, faults }: { readonly read: Read; readonly faults: string[] },
): number {
  const value = Number(read(name) ?? usual);
  if (!Number.isInteger(value) || value < min || value > max) {
    faults.push(`${name} must be a whole number from ${min}${minMeans} to ${max}`);
  }
  return value;
}

/** Null where there is no such way, or a fault in what it needs. */
function readAuth(reader: SettingsReader): Auth | null {
  const { read, faults } = reader;
  const auth = read("AUTH") ?? "dev";
  if (auth === "dev") return readDev(read, faults);
  if (auth === "jwt") return readJwt(reader);
  faults.push("AUTH must be dev or jwt");
  return null;
}

function readDev(read: Read, faults: string[]): Auth {
  const given = read("ADMIN_TOKEN");
  if (given !== null && !/^[\x21-\x7e]+$/.test(given)) {
    faults.push("ADMIN_TOKEN must consist of visible ASCII characters");
  } else if (given !== null && given.length < ADMIN_TOKEN_CHARACTERS_MIN) {
    faults.push(`ADMIN_TOKEN must have at least ${ADMIN_TOKEN_CHARACTERS_MIN} characters`);
  }
  const adminToken = given ?? randomBytes(24).toString("base64url");
  return { kind: "dev", adminToken, adminTokenIsNew: given === null };
}

function isUrl(text: string, protocols: readonly string[]): boolean {
  return URL.canParse(text) && protocols.includes(new URL(text).protocol);
}
