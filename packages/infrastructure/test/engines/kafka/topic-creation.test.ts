// Hosted Kafka lets nobody set some of a topic's settings. A real broker refuses here what a proxy has
// made invalid on the way: the answer has the same code and names the setting too.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { Admin, ConfigResourceTypes } from "@platformatic/kafka";
import { missing, testEngine } from "@stampede/launcher/testing";
import { checkKafka } from "../../../src/engines/kafka/check.ts";
import { openAccess } from "../../../src/engines/kafka/access.ts";
import { nameOf, open } from "./foreign-kafka.ts";

describe("a topic", { skip: missing("kafka") }, () => {
  test("is made without the settings that a cluster keeps for itself, and that is told", async (t) => {
    const brokers = await startChangingProxy(t, "uncompressed", "decompressed");
    const { kafka, told } = await open(t, brokers, openAccess);
    assert.deepEqual(told.errors, []);
    assert.match(
      told.warnings.join(),
      /^Kafka can be used, but its own values of compression\.type count for the topics/,
    );
    const { topic } = await kafka.createLog(nameOf());
    const settings = await settingsOf(t, topic);
    assert.equal(settings.get("compression.type"), "producer");
    assert.equal(settings.get("message.timestamp.type"), "LogAppendTime");
    assert.equal(settings.get("retention.ms"), "-1");
    const findings = await checkKafka({ brokers: [brokers], access: openAccess });
    const found = findings.find(({ what }) => what === "topic settings");
    assert.equal(found?.verdict, "warning");
  });

  test("is not made without those that keep its records, and the setting is named", async (t) => {
    const brokers = await startChangingProxy(t, "retention.ms\u0003-1", "retention.ms\u0003-x");
    const { kafka, told } = await open(t, brokers, openAccess);
    assert.equal(kafka.isUp(), true, "events that there are go on");
    assert.match(told.warnings.join(), /no topic for a new event: INVALID_CONFIG: .*retention\.ms/);
    const name = nameOf();
    await assert.rejects(kafka.createLog(name), /INVALID_CONFIG: .*retention\.ms/);
    const findings = await checkKafka({ brokers: [brokers], access: openAccess });
    const found = findings.find(({ what }) => what === "new topics");
    assert.equal(found?.verdict, "refused");
    const admin = openAdmin(t);
    assert.ok(!(await admin.listTopics()).includes(name));
  });
});

/** Forwards to the tests' broker, with one text in what is sent there replaced by one as long. */
async function startChangingProxy(t: TestContext, text: string, by: string): Promise<string> {
  assert.equal(text.length, by.length);
  const [host = "", port] = testEngine("kafka").split(":");
  const server = createServer((client) => {
    const broker = connect({ host, port: Number(port) });
    client.on("data", (chunk: Buffer) => {
      const at = chunk.indexOf(text);
      if (at >= 0) chunk.write(by, at);
      broker.write(chunk);
    });
    broker.pipe(client);
    for (const [socket, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      socket.on("error", () => undefined);
      socket.on("close", () => other.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function settingsOf(
  t: TestContext,
  topic: string,
): Promise<ReadonlyMap<string, string | null | undefined>> {
  const admin = openAdmin(t);
  const [described] = await admin.describeConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }],
  });
  return new Map(described?.configs.map(({ name, value }) => [name, value]));
}

function openAdmin(t: TestContext): Admin {
  const admin = new Admin({ clientId: "operator", bootstrapBrokers: [testEngine("kafka")] });
  t.after(async () => admin.close());
  return admin;
}
