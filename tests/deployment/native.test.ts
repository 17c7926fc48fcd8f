// A deployment without a container engine: the processes of the compose files, started as they say on
// the files that they mount, and sales on them. Three brokers, a Redis with a replica, two API
// processes and a decider behind nginx; then the single broker of compose.yaml with one process.
//
// Red when compose.yaml turns fsync off (the service does not start), and when the decider remembers a
// dead leader (log-reader.ts: connecting to it has to be among what makes it ask for the leader again).
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { rush, type Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import {
  askEverybody,
  claimUntilAnswered,
  openSale,
  people,
  readStored,
  tally,
  unsettled,
  verdict,
  type Sale,
} from "@stampede/proof/faults/support/sale.ts";
import type { Program } from "@stampede/proof/support/program.ts";
import { composeOf } from "./compose-model.ts";
import { kafkaMissing, nativeEngines } from "./native-engines.ts";
import { nativeServer } from "./native-servers.ts";
import { ask } from "./own-database.ts";
import { nginxMissing, startNginx } from "./own-nginx.ts";
import { inReverse, patience } from "./processes.ts";

const values = {
  POSTGRES_PASSWORD: "of-postgres",
  POSTGRES_EXPORTER_PASSWORD: "of-the-exporter",
  REDIS_PASSWORD: "of-redis",
  ADMIN_TOKEN: "of-the-operator-of-this-test",
  LOG_LEVEL: "warn",
};
const adminToken = values.ADMIN_TOKEN;

const noKafka = await kafkaMissing();

test("compose.yaml, as plain processes", { skip: noKafka }, async (context) => {
  const t = inReverse(context);
  const single = composeOf(["compose.yaml"]);
  const { engines } = await nativeEngines(t, single, values);
  const { url } = await nativeServer(t, single, { engines, values, name: "app" });
  await rightSales(context, { url, databaseUrl: engines.postgres });
});

test(
  "compose.cluster.yaml, as plain processes",
  { skip: noKafka || nginxMissing },
  async (context) => {
    const t = inReverse(context);
    const cluster = composeOf(["compose.yaml", "compose.cluster.yaml"]);
    const { engines, brokers } = await nativeEngines(t, cluster, values);
    const plan = { engines, values };
    const [app, api2] = await Promise.all([
      nativeServer(t, cluster, { ...plan, name: "app" }),
      nativeServer(t, cluster, { ...plan, name: "api-2" }),
      nativeServer(t, cluster, { ...plan, name: "decider" }),
    ]);
    const door = { app: new URL(app.url).host, api2: new URL(api2.url).host };
    const url = await startNginx(t, door);
    const shop = { url, adminToken, databaseUrl: engines.postgres } as Program;

    await rightSales(context, shop);

    let second = api2;
    for (const [mechanism, signal] of [
      ["row-lock", "SIGTERM"],
      ["redis-counter", "SIGKILL"],
      ["kafka-queue", "SIGKILL"],
    ] as const) {
      await context.test(
        `${mechanism}: a process that gets ${signal} in the middle loses nothing that was told`,
        async () => {
          const sale = await openSale(shop, { mechanism, limit: 150 });
          const waiting = { spreadMs: 2_000, deadlineMs: 15_000 };
          // Fewer than there are coupons, so that however slow the stop is, the sale goes on after it.
          const before = claimUntilAnswered(sale, people(140), waiting);
          await until(async () => (await issuedOf(sale)) >= 30, "a part is issued", patience);
          await second.running.stop(signal);
          const after = claimUntilAnswered(sale, people(60), waiting);
          await isRight(sale, [...(await before), ...(await after)]);
          const port = Number(new URL(second.url).port);
          second = await nativeServer(t, cluster, { ...plan, name: "api-2", port });
        },
      );
    }

    await context.test("the exporter's user sees statistics and no coupons", async () => {
      const exporter = new URL(engines.postgres);
      exporter.username = "exporter";
      exporter.password = values.POSTGRES_EXPORTER_PASSWORD;
      await ask(exporter.href, "SELECT * FROM pg_stat_activity");
      await assert.rejects(ask(exporter.href, "SELECT * FROM coupon_issues"), /permission denied/);
    });

    await context.test("kafka-queue: sales go on when one of three brokers dies", async () => {
      // Each log has a leader of its own: of so many, one nearly always loses its leader.
      const opening = Array.from({ length: 8 }, () =>
        openSale(shop, { mechanism: "kafka-queue", limit: 10 }),
      );
      const sales = await Promise.all(opening);
      const waiting = { spreadMs: 3_000, deadlineMs: 20_000 };
      const claims = sales.map((sale) => claimUntilAnswered(sale, people(20), waiting));
      await until(async () => (await issuedOf(sales[0]!)) >= 2, "a part is issued", patience);
      await brokers[1]!.running.stop("SIGKILL");
      for (const [at, sale] of sales.entries()) await isRight(sale, await claims[at]!);
    });
  },
);

/** A small crowd at one instant, for each mechanism, judged by the lab; watchers see the end. */
async function rightSales(
  context: TestContext,
  shop: Pick<Program, "url" | "databaseUrl">,
): Promise<void> {
  const { url, databaseUrl } = shop;
  for (const mechanism of ["row-lock", "redis-counter", "kafka-queue"] as const) {
    await context.test(`${mechanism}: a sale is right`, async () => {
      const crowd = { mechanism, users: 200, limit: 20, streams: 5 };
      const result = await rush({ url, adminToken, databaseUrl, ...crowd });
      assert.deepEqual(result.violations, []);
      assert.deepEqual(result.voidReasons, []);
      assert.equal(result.issuedRows, 20);
      assert.deepEqual(result.watching, { streams: 5, sawEnd: 5, reconnects: 0 });
    });
  }
}

async function issuedOf(sale: Sale): Promise<number> {
  return (await readStored(sale)).issued;
}

/** Nobody was told anything wrong, everybody has a final answer, and all coupons are issued. */
async function isRight(sale: Sale, told: readonly Attempt[]): Promise<void> {
  const asked = await askEverybody(sale, told);
  const { violations, stored } = await verdict(sale, [...told, ...asked]);
  const context = JSON.stringify({ told: tally(told), asked: tally(asked) });
  assert.deepEqual(violations, [], context);
  assert.deepEqual(unsettled(asked), [], context);
  assert.equal(stored.rows.length, sale.limit, context);
}
