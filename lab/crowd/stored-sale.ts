import { Client } from "pg";

import type { StoredRow, StoredSale } from "./verdict.ts";

// One statement is one snapshot, so the counter and the rows it counts are of the same instant.
const selectSale = `
  SELECT e.issued, i.seq, i.user_id, i.code, i.ticket,
         to_char(i.issued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS issued_at
    FROM events e LEFT JOIN coupon_issues i ON i.event_id = e.id
   WHERE e.id = $1
   ORDER BY i.seq`;

type SaleRow = {
  readonly issued: number;
  readonly seq: number | string | null;
  readonly user_id: string;
  readonly code: string;
  readonly issued_at: string;
  readonly ticket: number | string | null;
};

const connectMsMax = 5_000;
const statementMsMax = 30_000;

/** Reads what the database holds of an event, past the service that is being judged. */
export async function readStoredSale(databaseUrl: string, eventId: string): Promise<StoredSale> {
  const client = new Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: connectMsMax,
    statement_timeout: statementMsMax,
    application_name: "stampede-rush",
  });
  try {
    await client.connect();
    const { rows } = await client.query<SaleRow>(selectSale, [eventId]);
    const [first] = rows;
    if (first === undefined) {
      throw new Error(`it has no event ${eventId}: is it the database that the server uses?`);
    }
    const issues = rows.filter((row) => row.seq !== null).map(storedRow);
    return { issued: first.issued, rows: issues };
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`The rows of event ${eventId} cannot be read from the database: ${said}`, {
      cause,
    });
  } finally {
    await client.end();
  }
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
