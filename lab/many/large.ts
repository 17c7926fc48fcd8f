// Large sales: a million coupons, worn heaps, hundreds of sales that are sold out.
import { setTimeout as pause } from "node:timers/promises";

import { memorySampler } from "../compare/processes.ts";
import { scrape } from "../compare/server-metrics.ts";
import { withDatabase } from "../crowd/database.ts";
import { residentMiB } from "../crowd/machine.ts";
import type { OpenShop } from "../crowd/shop.ts";
import { outcomesText } from "../crowd/statistics.ts";
import type { ManySales, OpenEvent } from "./claims.ts";
import { count } from "../report/numbers.ts";
import type { Part } from "./part.ts";

const CONNECTIONS_MAX = 5_000;
const MILLION_CONNECTIONS = 1_000;
const SOLD_OUT_SHARE = 0.3;
const DECIDED_MS_MAX = 1_800_000;
const LOOK_EVERY_MS = 200;

export const measureLarge: Part = async (sales, measure, { events, coupons }) => {
  const { shop } = sales;
  const crowd = Math.ceil(coupons / 20);
  const connections = Math.min(CONNECTIONS_MAX, Math.ceil(crowd / 10));
  const toldUnknown = async (id: string): Promise<string> => {
    const event = await sales.make("v2", id, crowd);
    const told = await sales.flood(event, { people: crowd, connections });
    await untilIssued(shop, event);
    return `${count(told.unknown)} (${outcomesText(told)})`;
  };
  await measure(
    `v2: ${count(crowd)} people and coupons over ${count(connections)} connections, a fresh process: outcome-unknown`,
    "0",
    () => toldUnknown("many-fresh"),
  );
  const few = Math.ceil(events * SOLD_OUT_SHARE);
  const each = Math.ceil(coupons / 50);
  await measure(
    `the server's heap with ${few} sold-out events of ${count(each)} coupons, all looked at`,
    "< 400 MB",
    () => heapLookedAt(sales, few, each),
  );
  await measure(`v2: the same crowd on a worn process: outcome-unknown`, "0", () =>
    toldUnknown("many-worn"),
  );
  for (const { version } of sales.mechanisms.filter((one) => one.version !== "v1")) {
    await measure(
      `${version}: one event of ${count(coupons)} coupons and as many claims: coupons/s, first and last tenth; the server's memory at most`,
      "within 20 %; < 700 MB",
      async () => {
        const event = await sales.make(version, `many-large-${version}`, coupons);
        const memory = memorySampler(shop.pid());
        const told = await sales.flood(event, {
          people: coupons,
          connections: Math.min(MILLION_CONNECTIONS, coupons),
        });
        await untilIssued(shop, event);
        const mb = ((memory.stop()?.max ?? Number.NaN) * 2 ** 20) / 1e6;
        const [first, last] = await tenths(shop, event);
        return `${count(first)} and ${count(last)} (${(last / first).toFixed(2)}); ${count(mb)} MB (${outcomesText(told)})`;
      },
    );
  }
};

/** Rejects where a coupon is left, or one is too many, when all that came are decided. */
async function untilIssued(shop: OpenShop, { id, limit }: OpenEvent): Promise<void> {
  await withDatabase(shop.databaseUrl, `${id} cannot be read`, async (client) => {
    const startMs = performance.now();
    for (;;) {
      const { rows } = await client.query<{ issued: number }>(
        "SELECT issued FROM events WHERE id = $1",
        [id],
      );
      const issued = rows[0]?.issued ?? Number.NaN;
      if (issued === limit) break;
      if (performance.now() - startMs > DECIDED_MS_MAX) {
        throw new Error(`${issued} of ${limit} coupons are issued after half an hour`);
      }
      await pause(LOOK_EVERY_MS);
    }
    const { rows } = await client.query<{ rows: number }>(
      "SELECT count(*)::float8 AS rows FROM coupon_issues WHERE event_id = $1",
      [id],
    );
    if (rows[0]?.rows !== limit) throw new Error(`WRONG: ${rows[0]?.rows} rows of ${limit}`);
  });
}

/** Coupons in a second in the first and the last tenth of a sale. */
async function tenths(shop: OpenShop, event: OpenEvent): Promise<readonly [number, number]> {
  return withDatabase(shop.databaseUrl, `${event.id} cannot be read`, async (client) => {
    const { rows } = await client.query<{ rate: number }>(
      `SELECT count(*) / greatest(0.001, extract(epoch FROM max(issued_at) - min(issued_at)))::float8 AS rate
         FROM coupon_issues WHERE event_id = $1
        GROUP BY width_bucket(seq, 1, $2::integer + 1, 10) ORDER BY min(seq)`,
      [event.id, event.limit],
    );
    return [rows[0]?.rate ?? Number.NaN, rows.at(-1)?.rate ?? Number.NaN];
  });
}

/** Rows by SQL: selling them would take an hour, and the server reads them in the same way. */
async function heapLookedAt(sales: ManySales, events: number, coupons: number): Promise<string> {
  const { shop } = sales;
  const made = await sales.makeMany("v1", { count: events, limit: coupons });
  for (const { id } of made) {
    await withDatabase(shop.databaseUrl, `${id} cannot be sold out`, async (client) => {
      await client.query("BEGIN");
      await client.query(
        `INSERT INTO coupon_issues (event_id, seq, user_id, code, issued_at)
         SELECT $1::text, n, 'winner-' || n, upper(substr(md5($1::text || '/' || n), 1, 26)), clock_timestamp()
           FROM generate_series(1, $2::integer) AS n`,
        [id, coupons],
      );
      await client.query(
        "UPDATE events SET issued = limit_quantity, version = version + 1 WHERE id = $1",
        [id],
      );
      await client.query("COMMIT");
    });
  }
  await sales.lookAtEach(made);
  const metrics = await scrape(shop.url);
  const heap = metrics?.get("nodejs_heap_size_used_bytes") ?? Number.NaN;
  const resident = ((residentMiB(shop.pid() ?? 0) ?? Number.NaN) * 2 ** 20) / 1e6;
  return `${count(heap / 1e6)} MB (${count(resident)} MB resident)`;
}
