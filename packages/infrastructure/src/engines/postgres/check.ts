// What --check tells of PostgreSQL: it looks as a start does, and changes nothing.
import type { Finding } from "../finding.ts";
import { readAddress } from "./address.ts";
import { adviceFor } from "./advice.ts";
import { pgDriver } from "./driver.ts";
import type { PostgresDriver, Session } from "./driver.ts";
import { postgresFault, postgresWords } from "./faults.ts";
import { refuseSharedSessions } from "./session-look.ts";
import {
  beginSession,
  encodingRefusal,
  LEADER_SETTINGS,
  POOL_SETTINGS,
  readConnectionRoom,
  serverRefusal,
  SESSION_FACTS,
  UnsafeEngine,
  versionRefusal,
} from "./settings.ts";
import type { SessionFacts } from "./settings.ts";

export type PostgresCheck = {
  readonly url: string;
  /** Connections that the program opens, at most. */
  readonly connectionsMax: number;
};

type Told = Omit<Finding, "engine">;

/** Never rejects: what fails is a finding too. */
export async function checkPostgres(options: PostgresCheck): Promise<readonly Finding[]> {
  const told: Told[] = [];
  try {
    await lookAt(options, told);
  } catch (error) {
    const fault = postgresFault(error, "not-applied");
    const advice = adviceFor(fault);
    told.push({
      what: "use",
      found: fault.message,
      verdict: "refused",
      advice: asSentence(advice),
    });
  }
  return told.map((one) => ({ engine: "postgres", ...one }));
}

async function lookAt({ url, connectionsMax }: PostgresCheck, told: Told[]): Promise<void> {
  const driver = driverOf(url, told);
  if (driver === null) return;
  await using stack = new AsyncDisposableStack();
  const open = async (): Promise<Session> => {
    const session = await driver.openSession(async () => undefined);
    stack.defer(async () => session.end());
    return session;
  };
  const plain = await open();
  const facts = await readServer(plain);
  told.push({ what: "sign-in", found: signInOf(facts), verdict: "right", advice: "" });
  told.push(...serverFindings(facts));
  told.push(await sessionsFinding(driver));
  // Further settings are not there, or are other programs'.
  if (told.some(({ verdict }) => verdict === "refused")) return;
  told.push(await limitsFinding(await open()));
  told.push(await roomFinding(plain, connectionsMax));
}

function driverOf(url: string, told: Told[]): PostgresDriver | null {
  try {
    const driver = pgDriver(url);
    const { unused } = readAddress(url);
    if (unused.length > 0) {
      told.push({
        what: "address",
        found: `DATABASE_URL says ${unused.join(", ")}, which means nothing here`,
        verdict: "warning",
        advice: "Take it out, or look for its like in docs/engines.md.",
      });
    }
    return driver;
  } catch (error) {
    told.push({ what: "address", found: postgresWords(error), verdict: "refused", advice: "" });
    return null;
  }
}

type PostgresFacts = SessionFacts & {
  readonly role: string;
  readonly database: string;
  readonly tls: string | null;
};

async function readServer(session: Session): Promise<PostgresFacts> {
  const { rows } = await session.query<PostgresFacts>(
    `SELECT ${SESSION_FACTS}, current_user AS role, current_database() AS database,
            (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS tls`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error("it told nothing of itself");
  return row;
}

function signInOf({ role, database, tls }: PostgresFacts): string {
  return `as ${role} to the database ${database}, ${tls ?? "not encrypted"}`;
}

function serverFindings(facts: PostgresFacts): readonly Told[] {
  const { fsync, full_page_writes, synchronous_commit, transaction_read_only } = facts;
  const durable = { ...facts, transaction_read_only: "off" };
  const able = { server_version_num: "999999", server_encoding: "UTF8" };
  return [
    judged("version", facts.server_version, versionRefusal(facts)),
    judged("encoding", facts.server_encoding, encodingRefusal(facts)),
    judged(
      "durability",
      `fsync ${fsync}, full_page_writes ${full_page_writes}, synchronous_commit ${synchronous_commit}`,
      serverRefusal({ ...durable, ...able })?.message ?? null,
    ),
    judged(
      "writes",
      transaction_read_only === "off" ? "it takes them" : "it only reads",
      serverRefusal({ ...SAFE, ...able, transaction_read_only })?.message ?? null,
    ),
  ];
}

const SAFE = {
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  server_version: "",
};

async function sessionsFinding(driver: PostgresDriver): Promise<Told> {
  try {
    await refuseSharedSessions(driver);
    return {
      what: "sessions",
      found: "each connection keeps its own",
      verdict: "right",
      advice: "",
    };
  } catch (error) {
    if (!(error instanceof UnsafeEngine)) throw error;
    const found = "connections share them: a pooler in transaction or statement mode";
    return { what: "sessions", found, verdict: "refused", advice: error.message };
  }
}

/** Set on a connection as the service sets them, and read again. */
async function limitsFinding(session: Session): Promise<Told> {
  const wanted = { ...POOL_SETTINGS, ...LEADER_SETTINGS };
  await beginSession(session, wanted);
  const { rows } = await session.query<{ name: string; ms: string }>({
    text: "SELECT name, setting || 'ms' AS ms FROM pg_settings WHERE name = ANY ($1) ORDER BY name",
    values: [Object.keys(wanted)],
  });
  const set = new Map(rows.map(({ name, ms }) => [name, ms]));
  const lost = Object.entries(wanted).filter(([name, ms]) => set.get(name) !== ms);
  const found = rows.map(({ name, ms }) => `${name} ${ms}`).join(", ");
  const told = { what: "time limits", found };
  if (lost.length === 0) return { ...told, verdict: "right", advice: "" };
  const names = lost.map(([name]) => name).join(", ");
  const advice = `${names} did not stay as it was set: look what stands between, or forbids it.`;
  return { ...told, verdict: "refused", advice };
}

async function roomFinding(session: Session, connectionsMax: number): Promise<Told> {
  const { allowed, open } = await readConnectionRoom({
    query: async (text) => (await session.query<never>(text)).rows,
  });
  const what = "connections";
  const found = `${allowed} allowed, ${open} open, this program takes up to ${connectionsMax}`;
  if (allowed - open >= connectionsMax) return { what, found, verdict: "right", advice: "" };
  const advice =
    "Raise max_connections, or lower POOL_SHARED, POOL_DECISIONS, POOL_ROW_LOCK or WORKERS: where " +
    "there is no room, claims are refused as unavailable. A Stampede that runs already counts twice here.";
  return { what, found, verdict: "warning", advice };
}

function judged(what: string, found: string, refusal: string | null): Told {
  return { what, found, verdict: refusal === null ? "right" : "refused", advice: refusal ?? "" };
}

function asSentence(text: string): string {
  return text === "" ? "" : `${text}.`;
}
