// Eight processes of the service whose PostgreSQL is 5 ms away.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freePort, startServer } from "@stampede/launcher";

import type { OpenShop } from "../crowd/shop.ts";
import { percentile } from "../crowd/statistics.ts";
import { count } from "../report/numbers.ts";
import { ManySales } from "./claims.ts";
import { ms } from "./figures.ts";
import type { Part } from "./part.ts";

const PROCESSES = 8;
const ROUND_TRIP_MS = 5;
const MAIN = join(import.meta.dirname, "..", "..", "packages", "api", "src", "main.ts");
/** All of them together stay below the 100 connections that PostgreSQL allows by default. */
const SMALL_POOLS = { POOL_SHARED: "3", POOL_DECISIONS: "2", POOL_ROW_LOCK: "2" };

/** The near server of the program takes no part: it would lead, beside its database. */
export const besideDistant = { ...SMALL_POOLS, ROLE: "api" };

export const measureProcesses: Part = async ({ shop, mechanisms }, measure, options) => {
  const crowd = Math.ceil(options.coupons / 250);
  const { cleanups } = options;
  const far = { ...shop, databaseUrl: await distant(shop.databaseUrl, cleanups) };
  const folder = mkdtempSync(join(tmpdir(), "stampede-many-"));
  cleanups.defer(() => rmSync(folder, { recursive: true, force: true }));
  const sales: ManySales[] = [];
  // One after the other: eight that compile at once on two cores are ready no sooner.
  while (sales.length < PROCESSES) {
    const url = await startInstance(far, { folder, cleanups });
    sales.push(await ManySales.open({ ...shop, url }));
  }
  const [first] = sales;
  if (first === undefined) throw new Error("No process was started.");
  for (const { version } of mechanisms) {
    // One at a time, with several round trips each: a crowd of the others' size would take minutes.
    const people = version === "v1" ? Math.ceil(crowd / 10) : crowd;
    await measure(
      `${version}: ${PROCESSES} processes, PostgreSQL ${ROUND_TRIP_MS} ms away, ${people} people at each: a status meanwhile (p99), outcome-unknown`,
      "< 100 ms; 0",
      async () => {
        const event = await first.make(version, `many-far-${version}`, people);
        let isOver = false;
        const looks = Promise.all(sales.map((one) => one.askInTurn(event, () => isOver)));
        const floods = await Promise.all(
          sales.map((one) => one.flood(event, { people, connections: Math.min(250, people) })),
        ).finally(() => (isOver = true));
        const took = (await looks).flat().toSorted((one, other) => one - other);
        const unknown = floods.reduce((sum, told) => sum + told.unknown, 0);
        return `${ms(percentile(took, 99))} (${count(took.length)} asked); ${count(unknown)}`;
      },
    );
  }
};

/** Starts a server of its own on the shop's engines; gives its address when it is ready. */
async function startInstance(
  shop: OpenShop,
  { folder, cleanups }: { readonly folder: string; readonly cleanups: AsyncDisposableStack },
): Promise<string> {
  const port = await freePort();
  // An interrupt while it starts ends it as well.
  const over = new AbortController();
  cleanups.defer(() => over.abort());
  const server = await startServer({
    scriptPath: MAIN,
    host: "127.0.0.1",
    port,
    environment: {
      ...SMALL_POOLS,
      WORKERS: "1",
      LOG_LEVEL: "warn",
      DATABASE_URL: shop.databaseUrl,
      REDIS_URL: shop.redisUrl ?? "",
      KAFKA_BROKERS: shop.kafkaBrokers ?? "",
      ADMIN_TOKEN: shop.adminToken,
    },
    logPath: join(folder, `${port}.log`),
    pidPath: join(folder, `${port}.pid`),
    signal: over.signal,
  });
  cleanups.use(server);
  return server.url;
}

function late(from: Socket, to: Socket): void {
  from.on("data", (bytes) => setTimeout(() => to.write(bytes), ROUND_TRIP_MS / 2));
  from.on("close", () => setTimeout(() => to.destroy(), ROUND_TRIP_MS / 2));
  // Whatever breaks a connection closes it, and that is passed on.
  from.on("error", () => undefined);
}

/** The same database behind a link on which every byte takes half of a round trip. */
async function distant(databaseUrl: string, cleanups: AsyncDisposableStack): Promise<string> {
  const url = new URL(databaseUrl);
  const engine = { host: url.hostname, port: Number(url.port || 5_432) };
  const server = createServer({ noDelay: true }, (client) => {
    const behind = connect({ ...engine, noDelay: true });
    late(client, behind);
    late(behind, client);
  });
  const port = await freePort();
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  cleanups.defer(() => {
    server.close();
  });
  url.hostname = "127.0.0.1";
  url.port = String(port);
  return url.href;
}
