import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { Connection } from "@platformatic/kafka";
import { EngineFault } from "@stampede/domain";
import { missing, testEngine } from "@stampede/launcher/testing";
import { kafkaCluster } from "../../src/engines/kafka/cluster.ts";
import type { Cluster } from "../../src/engines/kafka/cluster.ts";
import { systemTime } from "../../src/engines/time.ts";
import { inspectByTwo } from "../../src/kafka-queue/log/agreement.ts";
import { createLog } from "../../src/kafka-queue/log/topics.ts";

describe("a log that looks broken", { skip: missing("kafka") }, () => {
  // Red when one broker's word is enough.
  test("is broken only where two brokers say so, if there are two", async (t) => {
    const [host = "", port] = testEngine("kafka").split(":");
    const knowing = { host, port: Number(port) };
    const direct = kafkaCluster([knowing], systemTime);
    t.after(async () => direct.close());
    const log = await createLog(direct, `stampede.test.${randomBytes(6).toString("hex")}`);
    const [started, silent] = [2, 3].map((n) => ({ host: "broker", port: n }));
    assert.ok(started !== undefined && silent !== undefined);
    const describeFrom: Cluster["describe"] = async (topics, from) => {
      if (from === started) return new Map();
      if (from === silent) throw new EngineFault("kafka", "not-applied", "it does not answer");
      return direct.describe(topics);
    };
    const look = async (
      brokers: readonly (typeof knowing)[],
      topicId: string,
      brokersMax = brokers.length,
    ): Promise<string | null | undefined> => {
      const several = { ...direct, describe: describeFrom, brokers: () => brokers };
      const connectControl = async (): Promise<Connection> => direct.connectControl(knowing);
      const cluster: Cluster = { ...several, connectControl, brokersMax: () => brokersMax };
      const looked = { ...log, topicId, mark: 0 };
      const seen = await inspectByTwo(cluster, [looked], { retention: true });
      return seen.get(log.topic)?.broken;
    };
    assert.equal(await look([knowing, started], log.topicId), null, "it knows too little yet");
    assert.equal(await look([started, knowing], log.topicId), null);
    assert.match((await look([knowing, started], "other")) ?? "", /was replaced/);
    assert.match((await look([silent, knowing, started], "other")) ?? "", /was replaced/);
    assert.equal(await look([knowing, silent], "other"), null, "one of two does not answer");
    assert.equal(await look([knowing], "other", 3), null, "the others are away");
    assert.match((await look([knowing], "other")) ?? "", /was replaced/, "there is one only");
    await assert.rejects(look([silent], log.topicId, 3), EngineFault);
  });
});
