// Debian's PgBouncer in front of a server, as somebody may have set it up.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { freePort } from "@stampede/launcher";
import { until } from "@stampede/launcher/testing";
import pg from "pg";

const PROGRAM = "/usr/sbin/pgbouncer";

/** For `skip`. */
export function pgbouncerMissing(): string | false {
  if (existsSync(PROGRAM)) return false;
  const reason = `there is no ${PROGRAM}: apt-get install pgbouncer`;
  if (process.env["STAMPEDE_NO_SKIPS"] === "1") throw new Error(reason);
  return reason;
}

export type PoolMode = "session" | "transaction" | "statement";

/** The address of the same database through a PgBouncer that ends with the test. */
export async function throughPgbouncer(
  t: TestContext,
  url: string,
  settings: { readonly pool_mode: PoolMode; readonly [name: string]: string },
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-pgbouncer-"));
  chmodSync(folder, 0o755);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const to = new URL(url);
  const port = await freePort();
  const own: Readonly<Record<string, string>> = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "any",
    ...settings,
  };
  const path = join(folder, "pgbouncer.ini");
  const database = [
    `host=${to.hostname} port=${to.port} dbname=${to.pathname.slice(1)}`,
    `user=${to.username} password=${to.password}`,
  ];
  writeFileSync(
    path,
    [
      "[databases]",
      `pooled = ${database.join(" ")}`,
      "[pgbouncer]",
      ...Object.entries(own).map(([name, value]) => `${name} = ${value}`),
      "",
    ].join("\n"),
    { mode: 0o644 },
  );
  const child = spawn(PROGRAM, [path], { ...unprivileged(), stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exited = once(child, "exit");
  t.after(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const through = `postgres://${to.username}@127.0.0.1:${port}/pooled`;
  await until(
    async () => {
      if (child.exitCode !== null) throw new Error(`PgBouncer ended:\n${output}`);
      return answers(through);
    },
    "PgBouncer listens",
    { msMax: 20_000 },
  );
  return through;
}

/** It refuses to run as root. */
function unprivileged(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string): number => Number(spawnSync("id", [flag, "nobody"]).stdout);
  return { uid: idOf("-u"), gid: idOf("-g") };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    // Nobody listens yet.
    return false;
  } finally {
    await client.end();
  }
}
