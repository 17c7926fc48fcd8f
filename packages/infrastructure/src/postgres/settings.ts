import type { Sql } from "./open.ts";

/** A setting of an engine under which an acknowledged coupon could be lost. */
export class UnsafeEngine extends Error {
  override readonly name = "UnsafeEngine";
}

/** Refuses a database that answers COMMIT before the commit is on its disk. */
export async function refuseUnsafeSettings(sql: Sql): Promise<void> {
  const rows = await sql.query<{ name: string; setting: string }>(
    "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')",
  );
  const unsafe = rows.filter((row) => row.setting === "off").map((row) => row.name);
  if (unsafe.length > 0) {
    throw new UnsafeEngine(
      `PostgreSQL runs with ${unsafe.join(", ")} off and could lose coupons that were acknowledged. ` +
        `Set ${unsafe.map((name) => `${name} = on`).join(", ")} in postgresql.conf (or by ALTER SYSTEM, ` +
        "also for the role and the database), reload, and start again.",
    );
  }
}
