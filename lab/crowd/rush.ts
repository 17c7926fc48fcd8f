import { peopleAtOnce, runSale, type Sale } from "./run-sale.ts";
import { readStoredSale } from "./stored-sale.ts";

const deadlineMsDefault = 60_000;

/** A crowd at one instant on a fresh event of a running server, judged: what a test needs. */
export async function rush(options: {
  readonly url: string;
  readonly adminToken: string;
  readonly databaseUrl: string;
  readonly mechanism: string;
  readonly users: number;
  readonly limit: number;
  readonly streams?: number;
}): Promise<Sale & { readonly issuedRows: number }> {
  const { url, adminToken, databaseUrl, mechanism, users, limit, streams = 0 } = options;
  const shop = {
    url,
    adminToken,
    readSale: (eventId: string) => readStoredSale(databaseUrl, eventId),
  };
  const sale = await runSale(shop, {
    mechanism,
    limit,
    streams,
    arrivals: (run) => peopleAtOnce(run, users),
    deadlineMs: deadlineMsDefault,
  });
  return { ...sale, issuedRows: sale.stored.rows.length };
}
