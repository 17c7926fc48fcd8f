import { UnsafeEngine } from "../postgres/settings.ts";

/** What `INFO` says of a server; unlike `CONFIG GET`, managed services allow it. */
export type ServerFacts = {
  /** Random, new at every start of the server. */
  readonly runId: string;
  readonly maxmemoryPolicy: string;
  readonly appendOnly: boolean;
  /** Still reading its file: it answers, but has nothing yet. */
  readonly loading: boolean;
  /** A copy of another server: what is written to it is refused, or lost. */
  readonly replica: boolean;
};

export function serverFacts(info: string): ServerFacts {
  const facts = new Map<string, string>();
  for (const line of info.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) facts.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return {
    runId: facts.get("run_id") ?? "",
    maxmemoryPolicy: facts.get("maxmemory_policy") ?? "unknown",
    appendOnly: facts.get("aof_enabled") === "1",
    loading: facts.get("loading") === "1",
    replica: facts.get("role") === "slave",
  };
}

/** Refuses a Redis that may forget reservations while it runs or when it restarts. */
export function refuseUnsafeServer(facts: ServerFacts): void {
  const remedies: string[] = [];
  if (facts.maxmemoryPolicy !== "noeviction") {
    remedies.push(`maxmemory-policy noeviction (it is ${facts.maxmemoryPolicy})`);
  }
  if (!facts.appendOnly) remedies.push("appendonly yes (it is no)");
  if (remedies.length > 0) {
    throw new UnsafeEngine(
      `Redis could lose reservations that were made. Set ${remedies.join(" and ")} in redis.conf ` +
        "(or by CONFIG SET), and start again.",
    );
  }
}
