import type { Finding } from "../engines/finding.ts";
import type { Asking } from "../engines/postgres/driver.ts";
import { postgresWords } from "../engines/postgres/faults.ts";
import { openForMigrations, placeOf } from "./migrate.ts";

/** Of the tables that are there, what this role may not do with them. */
const MISSING_RIGHTS = `
  SELECT c.relname AS table, p.name AS privilege
    FROM pg_class c
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (name)
   WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind IN ('r', 'p')
     AND c.relname = ANY ($2) AND NOT has_table_privilege(c.oid, p.name)
   ORDER BY 1, 2`;
const TABLES = [
  "events",
  "coupon_issues",
  "redis_generations",
  "queues",
  "rejected_records",
  "spare_topics",
];

/** Where the tables are or shall be, and whether this role may work with them. */
export async function checkSchema(url: string): Promise<Finding> {
  const told = { engine: "postgres", what: "schema" } as const;
  try {
    const client = await openForMigrations(url);
    try {
      const place = await placeOf(client);
      const missing = await missingRights(client, place.home);
      const found = place.begun
        ? `the tables are in ${place.home}`
        : `a start makes the tables in ${place.home}`;
      if (missing.length === 0) return { ...told, found, verdict: "right", advice: "" };
      const advice = `Grant this role ${missing.join(", ")}, or let it own the tables.`;
      return { ...told, found, verdict: "refused", advice };
    } finally {
      await client.end();
    }
  } catch (error) {
    return { ...told, found: postgresWords(error), verdict: "refused", advice: "" };
  }
}

async function missingRights(client: Asking, schema: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ table: string; privilege: string }>({
    text: MISSING_RIGHTS,
    values: [schema, TABLES],
  });
  return rows.map(({ table, privilege }) => `${privilege} on ${table}`);
}
