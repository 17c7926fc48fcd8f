// A Kafka that cannot be reached at all, or only in part.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { EngineFault } from "@stampede/domain";
import { missing, testEngine } from "@stampede/launcher/testing";
import { openAccess, parseBrokers } from "../../src/engines/kafka/access.ts";
import { kafkaCluster } from "../../src/engines/kafka/cluster.ts";
import type { Cluster } from "../../src/engines/kafka/cluster.ts";
import { watchCondition } from "../../src/engines/kafka/condition.ts";
import { systemTime } from "../../src/engines/time.ts";
import { openKafka } from "../../src/kafka-queue/log/open.ts";
import { batchOf } from "../engines/kafka/foreign-kafka.ts";

describe("a Kafka that is away", { skip: missing("kafka") }, () => {
  test("does not keep the service from starting, and isUp says so", async (t) => {
    const kafka = await openKafka({ brokers: "127.0.0.1:1", time: systemTime });
    t.after(async () => kafka.close());
    assert.equal(kafka.isUp(), false);
    await assert.rejects(kafka.createLog("stampede.x.y"), isFault);
    const writer = kafka.openWriter("stampede.x.y", () => undefined);
    await assert.rejects(writer.append(batchOf(1)), isFault);
  });

  // Red when only the first broker that takes a connection is asked.
  test("is not away because one of its brokers takes connections and answers nothing", async (t) => {
    const hung = createServer((socket) => socket.on("error", () => undefined));
    hung.listen(0, "127.0.0.1");
    await once(hung, "listening");
    t.after(() => hung.close());
    const { port } = hung.address() as AddressInfo;
    const brokers = `127.0.0.1:${port},${testEngine("kafka")}`;
    const kafka = await openKafka({ brokers, time: systemTime });
    t.after(async () => kafka.close());
    assert.equal(kafka.isUp(), true);
    const { topic } = await kafka.createLog(`stampede.test.${randomBytes(6).toString("hex")}`);
    assert.equal(await kafka.openWriter(topic, () => undefined).append(batchOf(1)), 0);
  });

  test("is up, and said to lack one, while one of several brokers cannot be reached", async (t) => {
    const bootstrap = parseBrokers(testEngine("kafka"));
    const direct = kafkaCluster(bootstrap, systemTime);
    const dead = { host: "127.0.0.1", port: 1 };
    const cluster: Cluster = { ...direct, brokers: () => [...direct.brokers(), dead] };
    const told: string[] = [];
    const tell = { warning: (text: string) => told.push(text), error: assert.fail };
    const condition = watchCondition(cluster, { bootstrap, access: openAccess, tell });
    t.after(async () => {
      await condition.close();
      await direct.close();
    });
    await condition.probe();
    await condition.probe();
    assert.equal(condition.isUp(), true);
    assert.equal(told.length, 1);
    assert.match(
      told[0] ?? "",
      /but one of its brokers is 127\.0\.0\.1:1, which cannot be reached/,
    );
    assert.match(told[0] ?? "", /ECONNREFUSED.*\. Start it, or set its advertised\.listeners/);
  });

  test("makes no log with fewer copies when only some of its brokers are away", async (t) => {
    const kafka = await openKafka({
      brokers: `${testEngine("kafka")},127.0.0.1:1,127.0.0.1:2`,
      time: systemTime,
    });
    t.after(async () => kafka.close());
    assert.equal(kafka.isUp(), true);
    await assert.rejects(kafka.createLog("stampede.x.z"), (error) => {
      assert.match(String(error), /INVALID_REPLICATION_FACTOR: .*replication factor of 3/);
      return isFault(error);
    });
  });

  test("is named by what an operator wrote", async () => {
    await assert.rejects(
      openKafka({ brokers: "", time: systemTime }),
      /names no Kafka broker; write host:port/,
    );
  });
});

function isFault(error: unknown): boolean {
  assert.ok(error instanceof EngineFault);
  assert.deepEqual([error.engine, error.outcome], ["kafka", "not-applied"]);
  return true;
}
