// F8 and F9 of docs/dictionary.md: what Kafka itself does, and the product has to be built for. A fact
// that turns red with a new version of Kafka says that a guard can be looked at again.
import assert from "node:assert/strict";
import { rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { FaultCase } from "../case.ts";
import {
  appendRaw,
  endOf,
  makeTopic,
  readLog,
  settingOf,
  topicState,
} from "../support/kafka-operator.ts";

const RECORDS = 20;

const fact = { mechanisms: "nobody", runs: "all" } as const;

export const kafkaFacts: readonly FaultCase[] = [
  {
    // So the number of in-sync replicas proves nothing where there is one broker.
    ...fact,
    place: "broker",
    id: "F8",
    injects: "two in-sync replicas are wanted where there is one broker",
    holds: "one replica acknowledges acks=all nevertheless",
    async run(stage) {
      const at = { brokers: stage.at.broker.broker, topic: "f8" };
      await makeTopic(at, { settings: { "min.insync.replicas": "2" } });
      // Or the fact would be one about a broker that was asked for nothing.
      assert.equal(await settingOf(at, "min.insync.replicas"), "2");
      assert.equal((await topicState(at))?.inSync.length, 1);
      stage.injected();
      assert.equal(await appendRaw(at, [recordOf(0)]), 0);
      assert.equal(await appendRaw(at, [recordOf(1), recordOf(2)]), 1);
      const values = (await readLog(at)).map(({ value }) => value?.toString());
      assert.deepEqual(values, ["0", "1", "2"]);
    },
  },
  // So neither the topic's id nor a successful start tells that records are gone; its end does.
  ...(["the tail", "all"] as const).map((loss): FaultCase => ({
    ...fact,
    place: "broker",
    id: "F9",
    injects: `a broker loses ${loss} of a log while it does not run`,
    holds: "it returns with the same topic id and a lower end, and gives an offset again",
    async run({ at: { broker }, injected }) {
      const at = { brokers: broker.broker, topic: loss === "all" ? "f9-all" : "f9-tail" };
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
      injected();
      await broker.restart();
      assert.equal((await topicState(at))?.topicId, before.topicId);
      const end = await endOf(at);
      assert.equal(end, loss === "all" ? 0 : RECORDS / 2);
      assert.equal(await appendRaw(at, [recordOf(RECORDS)]), end, "an offset is given again");
    },
  })),
];

function recordOf(n: number): { readonly key: null; readonly value: Buffer } {
  return { key: null, value: Buffer.from(String(n)) };
}
