import { Client } from "pg";

const connectMsMax = 5_000;
const statementMsMax = 30_000;

/** Asks the database past the service, on a connection of its own. `what` begins the error's sentence. */
export async function withDatabase<T>(
  databaseUrl: string,
  what: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: connectMsMax,
    statement_timeout: statementMsMax,
    application_name: "stampede-lab",
  });
  try {
    await client.connect();
    return await work(client);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${what}: ${said}`, { cause });
  } finally {
    await client.end();
  }
}
