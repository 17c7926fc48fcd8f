import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { missing } from "@stampede/launcher/testing";
import { checkRedis } from "../../../src/engines/redis/check.ts";
import { systemTime } from "../../../src/engines/time.ts";
import { makeCertificates, missingOpenssl, startOtherRedis, urlOf } from "./other-redis.ts";

const time = systemTime;

describe("what --check tells of a Redis", { skip: missing("redis") }, () => {
  test("is everything that matters, with what is not right and what to do about it", async (t) => {
    const server = await startOtherRedis(t, {
      settings: ["maxmemory-policy volatile-lru", "appendonly no"],
    });
    await server.operator("ACL", "SETUSER", "few", "on", ">secret", "~*", "+@all", "-scan");
    const url = urlOf(server).replace("//", "//few:secret@");
    const findings = await checkRedis({ url, time });
    const told = findings.map(({ what, verdict }) => `${what}: ${verdict}`);
    assert.deepEqual(told, [
      "TLS: right",
      "sign-in: right",
      "version: right",
      "mode: right",
      "role: right",
      "eviction: refused",
      "persistence: warning",
      "restarts: right",
      "rights: refused",
    ]);
    for (const { verdict, advice } of findings) assert.equal(verdict === "right", advice === "");
    assert.deepEqual(await server.operator("KEYS", "*"), [], "nothing is left there");
  });

  test("is why it is not reached, and no password", async (t) => {
    const server = await startOtherRedis(t);
    for (const [url, what] of [
      [`redis://ana:secret@127.0.0.1:${server.port}`, "sign-in"],
      ["redis://ana:secret@no-such-host.invalid", "address"],
    ] as const) {
      const findings = await checkRedis({ url, time });
      assert.deepEqual(
        findings.map((one) => [one.what, one.verdict]),
        [[what, "refused"]],
      );
      assert.doesNotMatch(JSON.stringify(findings), /secret/);
    }
  });

  test("says whether TLS is spoken", { skip: missingOpenssl() }, async (t) => {
    const { settings, ca } = makeCertificates(t);
    const { port } = await startOtherRedis(t, { settings, operatorUrl: () => null });
    const tls = { ca, cert: null, key: null };
    const findings = await checkRedis({ url: `rediss://127.0.0.1:${port}`, tls, time });
    assert.deepEqual(findings[0], {
      engine: "redis",
      what: "TLS",
      found: "verified",
      verdict: "right",
      advice: "",
    });
  });
});
