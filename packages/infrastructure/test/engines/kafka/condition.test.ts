// A Kafka of somebody else that is up and not of much use: it sends us where nobody is, allows too little,
// takes rights away, goes and comes back.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigResourceTypes } from "@platformatic/kafka";
import { missing, until } from "@stampede/launcher/testing";
import { checkKafka } from "../../../src/engines/kafka/check.ts";
import { openAccess } from "../../../src/engines/kafka/access.ts";
import {
  aclOf,
  allow,
  batchOf,
  claimAndRead,
  nameOf,
  open,
  ownKafkaOfSuite,
} from "./foreign-kafka.ts";
import { readLog } from "../../support/kafka-queue.ts";
import { missingOpenssl, NOWHERE, signedInAs } from "./own-kafka.ts";

describe("a Kafka of somebody else", { skip: missing("kafka") || missingOpenssl() }, () => {
  const own = ownKafkaOfSuite(["clerk", "reader", "late", "checked"]);

  // Today ten: each creation made its topic and then waited for a leader that nobody could reach.
  test("keeps no topic of ten events that could not be made", async (t) => {
    const { kafka } = await open(t, own().brokers.lost, openAccess);
    const names = Array.from({ length: 10 }, nameOf);
    for (const name of names) {
      await assert.rejects(kafka.createLog(name), new RegExp(`sends its clients to ${NOWHERE}`));
    }
    const topics = await own().admin().listTopics();
    assert.deepEqual(
      names.filter((name) => topics.includes(name)),
      [],
    );
  });

  // Red when topics keep the cluster's own limit, which is 64 KiB here.
  test("takes a crowd's batch although its records are to be small", async (t) => {
    const { kafka } = await open(t, own().brokers.plain, openAccess);
    const { topic } = await kafka.createLog(nameOf());
    const claims = Array.from({ length: 3_000 }, (_, n) => n);
    assert.equal(await kafka.openWriter(topic, () => undefined).append(batchOf(...claims)), 0);
  });

  test("is told when it refuses claims, once for all of them, with what to change", async (t) => {
    const { kafka, told } = await open(t, own().brokers.plain, openAccess);
    const { topic } = await kafka.createLog(nameOf());
    const configs = [{ name: "max.message.bytes", value: "1000", configOperation: 0 as const }];
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs };
    await own()
      .admin()
      .incrementalAlterConfigs({ resources: [resource], validateOnly: false });
    const writer = kafka.openWriter(topic, () => undefined);
    const crowd = batchOf(...Array.from({ length: 100 }, (_, n) => n));
    await until(async () => writer.append(crowd).then(() => false, isTooLarge), "it refuses");
    await assert.rejects(writer.append(crowd), isTooLarge);
    assert.deepEqual(told.errors, [
      "Kafka refuses to append claims: MESSAGE_TOO_LARGE. Set max.message.bytes of the topics, and " +
        "message.max.bytes of the brokers, to 1048588 or more.",
    ]);
    assert.equal(kafka.isUp(), true, "other events go on");
    assert.ok((await writer.append(batchOf(1))) >= 0);
  });

  // Red when one more right is needed than docs/engines.md lists.
  test("is used with no more rights than are documented, from the moment that they are there", async (t) => {
    const { kafka, told } = await open(t, own().brokers.sasl, signedInAs("late"));
    assert.equal(kafka.isUp(), false);
    await allow(own(), "late", ["WRITE", "READ"]);
    await until(() => kafka.isUp(), "rights that came later count", { msMax: 60_000 });
    assert.match(
      told.warnings.at(-1) ?? "",
      /has not the right Create .* nor DescribeConfigs .* nor Delete/,
    );
    await assert.rejects(kafka.createLog(nameOf()), /TOPIC_AUTHORIZATION_FAILED/);
    await allow(own(), "late", ["CREATE", "DELETE", "DESCRIBE_CONFIGS"]);
    const log = await claimAndRead(kafka, 2);
    const seen = await kafka.inspectLogs([{ ...log, mark: 2 }], { retention: true });
    assert.deepEqual(seen.get(log.topic), { end: 2, broken: null });
    assert.deepEqual(await kafka.deleteLogs([log.topic]), [log.topic]);
    const later = await open(t, own().brokers.sasl, signedInAs("late"));
    assert.deepEqual([...later.told.errors, ...later.told.warnings], []);
  });

  test("that takes a right away is down, and says which", async (t) => {
    await allow(own(), "reader", ["WRITE", "READ", "CREATE"]);
    const { kafka, told } = await open(t, own().brokers.sasl, signedInAs("reader"));
    const log = await claimAndRead(kafka, 1);
    const writer = kafka.openWriter(log.topic, () => undefined);
    await own()
      .admin()
      .deleteAcls({ filters: [aclOf("reader", "WRITE")] });
    await until(async () => {
      await writer.append(batchOf(7)).catch(() => undefined);
      return !kafka.isUp();
    }, "the right is missed");
    assert.match(told.errors.at(-1) ?? "", /not the right Write on the topics stampede\.\*/);
  });

  test("that restarts is told as away and as back, and signs us in again", async (t) => {
    const { kafka, told } = await open(t, own().brokers.sasl, signedInAs("admin", "SCRAM-SHA-512"));
    const log = await claimAndRead(kafka, 2);
    await own().stop();
    await until(() => !kafka.isUp(), "it is missed");
    assert.match(told.errors.at(-1) ?? "", /ECONNREFUSED|ended|closed/);
    await own().start();
    await until(() => kafka.isUp(), "it is found again", { msMax: 60_000 });
    assert.equal(told.warnings.at(-1), "Kafka can be used again.");
    const writer = kafka.openWriter(log.topic, () => undefined);
    await until(async () => (await writer.append(batchOf(9))) >= 2, "claims go on", {
      errorIsNotYet: true,
      msMax: 60_000,
    });
    assert.ok((await readLog(kafka, log)).length >= 3);
  });

  describe("checked beforehand", () => {
    const table = async (...target: readonly [string, typeof openAccess]): Promise<string> => {
      const findings = await checkKafka({ brokers: [target[0]], access: target[1] });
      return findings
        .map(({ what, found, verdict, advice }) => `${verdict}: ${what}: ${found} | ${advice}`)
        .join("\n");
    };

    test("is right but for its one copy, and nothing is made there", async () => {
      const before = await own().admin().listTopics();
      const told = await table(own().brokers.sasl, signedInAs("admin"));
      assert.match(told, /right: address 127\.0\.0\.1:\d+: answers/);
      assert.match(told, /right: sign-in: SCRAM-SHA-256 as admin, without TLS/);
      assert.match(told, /right: version: /);
      assert.match(told, /right: advertised 127\.0\.0\.1:\d+: can be reached/);
      assert.match(told, /right: rights: Write, Read, Create, Delete, DescribeConfigs/);
      assert.match(told, /right: topic settings: /);
      assert.match(told, /warning: copies: 1 of every log on 1 brokers \| Three brokers keep/);
      assert.ok(!told.includes("refused:"), told);
      assert.deepEqual(await own().admin().listTopics(), before);
    });

    test("is told with what is wrong, in its words and with what to change", async () => {
      assert.match(
        await table(own().brokers.sasl, openAccess),
        /refused: address .*: it wants sign-in by SASL, and offers .* \| Set KAFKA_SASL_MECHANISM/,
      );
      assert.match(
        await table(own().brokers.sasl, signedInAs("admin", "PLAIN")),
        /warning: sign-in: PLAIN as admin, without TLS \| Set KAFKA_TLS=on or use SCRAM/,
      );
      assert.match(
        await table(own().brokers.lost, openAccess),
        /refused: advertised 127\.0\.0\.1:1: .*ECONNREFUSED.* \| Set advertised\.listeners/,
      );
      assert.match(
        await table(own().brokers.sasl, signedInAs("clerk")),
        /refused: rights: .*Write .* nor Read .* \| Give this user the rights/,
      );
      await allow(own(), "checked", ["WRITE", "READ"]);
      assert.match(
        await table(own().brokers.sasl, signedInAs("checked")),
        /warning: rights: .*not the right Create .* nor DescribeConfigs .* nor Delete/,
      );
      assert.match(await table("127.0.0.1:1", openAccess), /refused: address 127\.0\.0\.1:1: /);
    });
  });
});

function isTooLarge(error: unknown): boolean {
  return /MESSAGE_TOO_LARGE/.test(String(error));
}
