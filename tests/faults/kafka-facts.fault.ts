// F8 and F9 of docs/guarantees.md: what Kafka itself does, and the product has to be built for. A fact
// that turns red with a new version of Kafka says that a guard can be looked at again.
import assert from "node:assert/strict";
import { rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startKafkaCluster } from "./support/kafka-cluster.ts";
import {
  appendRaw,
  endOf,
  makeTopic,
  readLog,
  settingOf,
  topicState,
} from "./support/kafka-operator.ts";
import { engineMissing } from "./support/sale.ts";

const RECORDS = 20;

test("facts about one Kafka broker", { skip: engineMissing }, async (t) => {
  const { brokers, nodes } = await startKafkaCluster(t, { nodes: 1 });
  const broker = nodes[0]!;
  t.diagnostic(`one node: ready after ${Math.round(performance.now())} ms of this process`);

  // F8: so the number of in-sync replicas proves nothing where there is one broker.
  await t.test(
    "one replica acknowledges acks=all although two in-sync ones are wanted",
    async () => {
      const at = { brokers, topic: "f8" };
      await makeTopic(at, { settings: { "min.insync.replicas": "2" } });
      // Or the fact would be one about a broker that was asked for nothing.
      assert.equal(await settingOf(at, "min.insync.replicas"), "2");
      assert.equal((await topicState(at))?.inSync.length, 1);
      assert.equal(await appendRaw(at, [recordOf(0)]), 0);
      assert.equal(await appendRaw(at, [recordOf(1), recordOf(2)]), 1);
      assert.deepEqual(
        (await readLog(at)).map(({ value }) => value?.toString()),
        ["0", "1", "2"],
      );
    },
  );

  // F9: so neither the topic's id nor a successful start tells that records are gone; its end does.
  for (const loss of ["the tail", "all"] as const) {
    await t.test(
      `a broker that lost ${loss} of a log returns with the same topic id and a lower end`,
      async () => {
        const at = { brokers, topic: loss === "all" ? "f9-all" : "f9-tail" };
        await makeTopic(at);
        for (let n = 0; n < RECORDS; n += 1) await appendRaw(at, [recordOf(n)]);
        const before = await topicState(at);
        assert.ok(before !== null);
        assert.equal(await endOf(at), RECORDS);
        await broker.kill();
        const folder = join(broker.logFolder, `${at.topic}-0`);
        const segment = join(folder, "00000000000000000000.log");
        if (loss === "all") rmSync(folder, { recursive: true });
        else truncateSync(segment, Math.floor(statSync(segment).size / 2));
        await broker.restart();
        assert.equal((await topicState(at))?.topicId, before.topicId);
        const end = await endOf(at);
        assert.equal(end, loss === "all" ? 0 : RECORDS / 2);
        assert.equal(await appendRaw(at, [recordOf(RECORDS)]), end, "an offset is given again");
      },
    );
  }
});

function recordOf(n: number): { readonly key: null; readonly value: Buffer } {
  return { key: null, value: Buffer.from(String(n)) };
}
