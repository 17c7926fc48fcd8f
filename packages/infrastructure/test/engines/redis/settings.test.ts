import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeServer, serverFacts } from "../../../src/engines/redis/settings.ts";

const INFO = [
  "# Server",
  "redis_version:7.0.15",
  "redis_mode:standalone",
  "run_id:0123",
  "maxmemory_policy:noeviction",
  "aof_enabled:1",
  "loading:0",
  "role:master",
].join("\r\n");

test("a server that keeps everything is accepted by what INFO says of it", () => {
  const facts = serverFacts(INFO);
  assert.deepEqual(facts, {
    runId: "0123",
    product: "Redis",
    version: "7.0.15",
    redisVersion: "7.0.15",
    mode: "standalone",
    maxmemoryPolicy: "noeviction",
    appendOnly: true,
    loading: false,
    replica: false,
  });
  assert.deepEqual(verdicts(INFO), []);
});

// R8, B18. Red when a policy that evicts is taken (`judgeEviction`).
test("a server that evicts, is too old, a copy, a Sentinel or part of a cluster is refused by name", () => {
  for (const [from, to, told] of [
    ["noeviction", "allkeys-lru", /maxmemory-policy is allkeys-lru/],
    ["noeviction", "volatile-ttl", /maxmemory-policy is volatile-ttl/],
    ["redis_version:7.0.15", "redis_version:5.0.14", /Redis 5\.0\.14/],
    ["redis_mode:standalone", "redis_mode:sentinel", /Sentinel/],
    ["loading:0", "cluster_enabled:1", /cluster mode/],
    ["loading:0", "loading:1", /loading/],
    ["role:master", "role:slave", /replica/],
  ] as const) {
    const found = verdicts(INFO.replace(from, to));
    assert.deepEqual(
      found.map(([verdict]) => verdict),
      ["refused"],
      `${to} is refused`,
    );
    assert.match(found[0]?.[1] ?? "", told);
  }
});

test("a server that keeps no file, or does not say what it is, is used with a warning", () => {
  for (const [from, to, told] of [
    ["aof_enabled:1", "aof_enabled:0", /keeps no append-only file/],
    ["aof_enabled:1", "", /does not say whether it keeps an append-only file/],
    ["maxmemory_policy:noeviction", "", /does not say maxmemory-policy/],
    ["run_id:0123", "", /does not say run_id/],
    ["redis_version:7.0.15", "", /does not say its version/],
  ] as const) {
    const found = verdicts(INFO.replace(from, to));
    assert.deepEqual(
      found.map(([verdict]) => verdict),
      ["warning"],
      `${from} ${to}`,
    );
    assert.match(found[0]?.[1] ?? "", told);
  }
});

test("the lowest Redis that works, and every newer one and Valkey, are known by their own names", () => {
  for (const [version, name] of [
    ["redis_version:6.0.16", "Redis 6.0.16"],
    ["redis_version:8.0.2", "Redis 8.0.2"],
    ["redis_version:7.2.4\r\nvalkey_version:9.1.2", "Valkey 9.1.2"],
  ] as const) {
    const all = judgeServer(serverFacts(INFO.replace("redis_version:7.0.15", version)));
    const { found, verdict } = all.find(({ what }) => what === "version")!;
    assert.deepEqual([found, verdict], [name, "right"]);
  }
});

/** All that is not right. */
function verdicts(info: string): readonly (readonly [verdict: string, found: string])[] {
  return judgeServer(serverFacts(info))
    .filter(({ verdict }) => verdict !== "right")
    .map(({ verdict, found }) => [verdict, found]);
}
