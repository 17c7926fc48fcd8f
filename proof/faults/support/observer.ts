// A reader of all state while a sale runs under a fault: what was wrong for a moment only, the end does
// not show. Every 50 ms it reads PostgreSQL, in one snapshot.
//
// It judges each reading by itself (S1, S17, S24) and against the one before (S1, S15, S20: rows, mark
// and epoch, limit only rise). An engine that is away is not read; the sale's own judges miss it.
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { Sale } from "./sale.ts";

const EVERY_MS = 50;
/** It must not compete for connections that are the fault's own matter. */
const AWAY_MS = 500;
const READ_MS_MAX = 2_000;

type Reading = {
  readonly limit: number;
  readonly issued: number;
  readonly rows: number;
  readonly highestSeq: number;
  /** v3; null for an event without a queue. */
  readonly epoch: number | null;
  readonly mark: number | null;
};

export type Observer = {
  /** Ends it; gives how many readings there were and what was wrong in them. */
  readonly end: () => Promise<{ readonly readings: number; readonly wrong: readonly string[] }>;
};

/** Observes until `end` is called. */
export function observe(sale: Sale): Observer {
  const ended = new AbortController();
  const wrong: string[] = [];
  let readings = 0;
  let before: Reading | null = null;
  const run = async (): Promise<void> => {
    let client: pg.Client | null = null;
    while (!ended.signal.aborted) {
      try {
        client ??= await connect(sale);
        const reading = await snapshot(client, sale);
        readings += 1;
        wrong.push(...faultsOf(reading, before));
        before = reading;
      } catch {
        // The engine is away, which is what this sale is about: it is read again when it is back.
        await client?.end().catch(() => undefined);
        client = null;
      }
      const ms = client === null ? AWAY_MS : EVERY_MS;
      await pause(ms, undefined, { signal: ended.signal }).catch(() => undefined);
    }
    await client?.end().catch(() => undefined);
  };
  const running = run();
  return {
    async end() {
      ended.abort();
      await running;
      return { readings, wrong: [...new Set(wrong)] };
    },
  };
}

/** What must never be, in one reading and since the one before it. */
export function faultsOf(now: Reading, before: Reading | null): string[] {
  const { limit, issued, rows, highestSeq } = now;
  const told = JSON.stringify(now);
  const faults: string[] = [];
  if (rows > limit) faults.push(`S1: more rows than the limit: ${told}`);
  if (issued !== rows || rows !== highestSeq) faults.push(`S24: issued, rows and seq: ${told}`);
  if (before === null) return faults;
  const since = `${JSON.stringify(before)} is followed by ${told}`;
  if (rows < before.rows) faults.push(`S1: rows went away: ${since}`);
  if (limit < before.limit) faults.push(`S20: the limit fell: ${since}`);
  if (Number(now.epoch) < Number(before.epoch) || Number(now.mark) < Number(before.mark)) {
    faults.push(`S15: epoch or mark fell: ${since}`);
  }
  return faults;
}

async function connect({ program }: Sale): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: program.databaseUrl,
    connectionTimeoutMillis: READ_MS_MAX,
    query_timeout: READ_MS_MAX,
  });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** One statement is one snapshot. */
async function snapshot(client: pg.Client, { eventId }: Sale): Promise<Reading> {
  const { rows } = await client.query<Reading>(
    `SELECT e.limit_quantity AS limit, e.issued,
            (SELECT count(*)::integer FROM coupon_issues i WHERE i.event_id = e.id) AS rows,
            (SELECT coalesce(max(seq), 0) FROM coupon_issues i WHERE i.event_id = e.id) AS "highestSeq",
            q.epoch::float8 AS epoch, q.next_offset::float8 AS mark
       FROM events e LEFT JOIN queues q ON q.event_id = e.id WHERE e.id = $1`,
    [eventId],
  );
  return rows[0]!;
}
