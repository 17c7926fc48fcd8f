// What a server is, by what `INFO` says of it: unlike `CONFIG GET`, managed services allow it.
import type { Finding } from "../finding.ts";

/** Null: the server does not say. */
export type ServerFacts = {
  /** Random, new at every start of the server. */
  readonly runId: string;
  /** "Redis", or who it is instead. */
  readonly product: string;
  readonly version: string | null;
  /** The version of Redis that it answers like. */
  readonly redisVersion: string | null;
  /** "standalone", "cluster" or "sentinel". */
  readonly mode: string | null;
  readonly maxmemoryPolicy: string | null;
  readonly appendOnly: boolean | null;
  /** Still reading its file: it answers, but has nothing yet. */
  readonly loading: boolean;
  /** A copy of another server: what is written to it is refused, or lost. */
  readonly replica: boolean;
};

/**
 * Where a server hides its runs, a restart is not seen. What it brings back is then rolled forward as
 * reservations, and the rows' guard refuses whom it lets in too much.
 */
const RUN_UNKNOWN = "unknown";

const VERSION_MIN = { major: 6, minor: 0 };

/** `info` is "" where the user may not ask for it. */
export function serverFacts(info: string): ServerFacts {
  const facts = new Map<string, string>();
  for (const line of info.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0) facts.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const said = (name: string): string | null => facts.get(name) || null;
  const aof = said("aof_enabled");
  const redisVersion = said("redis_version");
  const other = ["valkey", "dragonfly"].find((name) => said(`${name}_version`) !== null);
  return {
    runId: said("run_id") ?? RUN_UNKNOWN,
    product: other === undefined ? "Redis" : `${other.slice(0, 1).toUpperCase()}${other.slice(1)}`,
    version: other === undefined ? redisVersion : said(`${other}_version`),
    redisVersion,
    mode: said("cluster_enabled") === "1" ? "cluster" : (said("redis_mode") ?? said("server_mode")),
    maxmemoryPolicy: said("maxmemory_policy"),
    appendOnly: aof === null ? null : aof === "1",
    loading: said("loading") === "1",
    replica: said("role") === "slave",
  };
}

/** Everything that has to be known of a server before it is used, in the order in which it matters. */
export function judgeServer(facts: ServerFacts): readonly Finding[] {
  return [
    judgeVersion(facts),
    judgeMode(facts),
    judgeRole(facts),
    judgeEviction(facts),
    judgePersistence(facts),
    judgeRestarts(facts),
  ];
}

function judgeVersion({ product, version, redisVersion }: ServerFacts): Finding {
  if (version === null) return notTold("version", "its version", "6.0 is the lowest that works");
  const found = `${product} ${version}`;
  const [major = 0, minor = 0] = (redisVersion ?? version).split(".").map(Number);
  const { major: majorMin, minor: minorMin } = VERSION_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return right("version", found);
  return refusedFinding(
    "version",
    found,
    `use Redis ${majorMin}.${minorMin} or newer, or Valkey: older ones have no users with rights of their own and no TLS`,
  );
}

function judgeMode({ mode }: ServerFacts): Finding {
  if (mode === "cluster") {
    return refusedFinding(
      "mode",
      "Redis runs in cluster mode",
      "let REDIS_URL lead to a Redis without cluster mode (cluster-enabled no): one event's reservations need one server",
    );
  }
  if (mode === "sentinel") {
    return refusedFinding(
      "mode",
      "this is a Sentinel, which keeps no data",
      "let REDIS_URL lead to the primary: by a name or a proxy that follows it, for Sentinel itself is not asked",
    );
  }
  return right("mode", mode ?? "standalone, as far as it says");
}

function judgeRole({ replica, loading }: ServerFacts): Finding {
  if (loading)
    return refusedFinding("role", "Redis is still loading its data", "wait until it has");
  if (!replica) return right("role", "primary");
  return refusedFinding(
    "role",
    "Redis is a replica",
    "promote it, or let REDIS_URL lead to the primary",
  );
}

function judgeEviction({ maxmemoryPolicy: policy }: ServerFacts): Finding {
  const what = "eviction";
  if (policy === null) {
    return notTold(what, "maxmemory-policy", "see to it yourself that it is noeviction");
  }
  if (policy === "noeviction") return right(what, `maxmemory-policy ${policy}`);
  return refusedFinding(
    what,
    `Redis could drop reservations: maxmemory-policy is ${policy}`,
    "set maxmemory-policy noeviction in redis.conf, by CONFIG SET, or in the parameters of your provider",
  );
}

function judgePersistence({ appendOnly }: ServerFacts): Finding {
  const what = "persistence";
  if (appendOnly === true) return right(what, "append-only file");
  return warning(
    what,
    appendOnly === null
      ? "Redis does not say whether it keeps an append-only file"
      : "Redis keeps no append-only file",
    "after a restart it is rebuilt from PostgreSQL: every coupon stays and none is given twice, but " +
      "whoever had reserved and has no coupon yet may lose their place in line (appendonly yes keeps it)",
  );
}

function judgeRestarts({ runId }: ServerFacts): Finding {
  if (runId !== RUN_UNKNOWN) return right("restarts", "seen by run_id");
  return warning(
    "restarts",
    "Redis does not say run_id: its restarts are not seen",
    "after one that brings back an older state, some may be let in who then hear that all coupons are gone",
  );
}

function notTold(what: string, name: string, advice: string): Finding {
  return warning(what, `Redis does not say ${name}`, advice);
}

function warning(what: string, found: string, advice: string): Finding {
  return { engine: "redis", what, found, verdict: "warning", advice };
}

function right(what: string, found: string): Finding {
  return { engine: "redis", what, found, verdict: "right", advice: "" };
}

export function refusedFinding(what: string, found: string, advice: string): Finding {
  return { engine: "redis", what, found, verdict: "refused", advice };
}
