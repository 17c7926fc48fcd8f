import { withDatabase } from "./database.ts";
import type { StoredRow, StoredSale } from "./verdict.ts";

// One statement is one snapshot, so the counter and the rows it counts are of the same instant.
const selectSales = `
  SELECT e.id, e.issued, i.seq, i.user_id, i.code, i.ticket,
         to_char(i.issued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS issued_at
    FROM events e LEFT JOIN coupon_issues i ON i.event_id = e.id
   WHERE e.id = ANY ($1)
   ORDER BY i.seq`;

type SaleRow = {
  readonly id: string;
  readonly issued: number;
  readonly seq: number | string | null;
  readonly user_id: string;
  readonly code: string;
  readonly issued_at: string;
  readonly ticket: number | string | null;
};

/** Reads what the database holds of an event, past the service that is being judged. */
export async function readStoredSale(databaseUrl: string, eventId: string): Promise<StoredSale> {
  const sale = (await readStoredSales(databaseUrl, [eventId])).get(eventId);
  if (sale !== undefined) return sale;
  throw new Error(`The database has no event ${eventId}: is it the database that the server uses?`);
}

/** The same of many events, in one snapshot. */
export async function readStoredSales(
  databaseUrl: string,
  eventIds: readonly string[],
): Promise<ReadonlyMap<string, StoredSale>> {
  const which = eventIds.length === 1 ? `event ${eventIds[0]}` : `${eventIds.length} events`;
  const fault = `The rows of ${which} cannot be read from the database`;
  return withDatabase(databaseUrl, fault, async (client) => {
    const { rows } = await client.query<SaleRow>(selectSales, [eventIds]);
    const sales = [...Map.groupBy(rows, ({ id }) => id)].map(([id, own]) => {
      const issues = own.filter((row) => row.seq !== null).map(storedRow);
      return [id, { issued: own[0]?.issued ?? 0, rows: issues }] as const;
    });
    return new Map(sales);
  });
}

function storedRow(row: SaleRow): StoredRow {
  return {
    seq: Number(row.seq),
    userId: row.user_id,
    code: row.code,
    issuedAt: row.issued_at,
    ticket: row.ticket === null ? null : Number(row.ticket),
  };
}
