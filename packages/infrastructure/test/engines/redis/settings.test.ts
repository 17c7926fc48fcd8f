import assert from "node:assert/strict";
import { test } from "node:test";
import { UnsafeEngine } from "../../../src/engines/postgres/settings.ts";
import { refuseUnsafeServer, serverFacts } from "../../../src/engines/redis/settings.ts";

const INFO = [
  "# Server",
  "run_id:0123",
  "maxmemory_policy:noeviction",
  "aof_enabled:1",
  "loading:0",
  "role:master",
];

test("a server that keeps everything is accepted by what INFO says of it", () => {
  const facts = serverFacts(INFO.join("\r\n"));
  assert.deepEqual(facts, {
    runId: "0123",
    maxmemoryPolicy: "noeviction",
    appendOnly: true,
    loading: false,
    replica: false,
  });
  refuseUnsafeServer(facts);
});

// R8, B18. Red when a policy that evicts, or none, is taken (`refuseUnsafeServer`).
test("a server that evicts, keeps no file, or says neither is refused", () => {
  for (const [info, remedy] of [
    [INFO.join("\r\n").replace("noeviction", "allkeys-lru"), /maxmemory-policy noeviction/],
    [INFO.join("\r\n").replace("noeviction", "volatile-ttl"), /it is volatile-ttl/],
    [INFO.join("\r\n").replace("aof_enabled:1", "aof_enabled:0"), /appendonly yes/],
    ["", /maxmemory-policy noeviction \(it is unknown\) and appendonly yes/],
  ] as const) {
    assert.throws(
      () => refuseUnsafeServer(serverFacts(info)),
      (error) => error instanceof UnsafeEngine && remedy.test(error.message),
    );
  }
});
