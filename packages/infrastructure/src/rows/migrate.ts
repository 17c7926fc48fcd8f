import { join } from "node:path";
import { runner } from "node-pg-migrate";

/**
 * Brings the schema up to this build's, forward only. Of processes that start together one migrates
 * and the others wait for it.
 */
export async function migrate(url: string, log: (line: string) => void): Promise<void> {
  await runner({
    databaseUrl: {
      connectionString: url,
      lock_timeout: 5_000,
      application_name: "stampede-migrate",
    },
    dir: join(import.meta.dirname, "migrations"),
    direction: "up",
    migrationsTable: "schema_migrations",
    advisoryLockMode: "wait",
    logger: { info: () => undefined, warn: log, error: log },
  });
}
