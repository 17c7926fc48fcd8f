// The three engines, started for real. Red when, in engine-home.ts, `tryLock` always succeeds or
// `endLeftover` does nothing or looks for programs by their names only, and when redis.ts says
// "appendonly no".
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Admin } from "@platformatic/kafka";
import pg from "pg";
import { createClient } from "redis";
import type { RunningEngine, StartEngine } from "../src/engine.ts";
import { EngineUnavailable } from "../src/engine.ts";
import { startKafka } from "../src/kafka.ts";
import { freePort } from "../src/ports.ts";
import { startPostgres } from "../src/postgres.ts";
import { findRedis, startRedis } from "../src/redis.ts";
import { isAlive } from "../src/processes.ts";
import { missing, until } from "../testing/index.ts";

// Never waits for anything, so it does not notice that the server's head is gone.
const endless =
  "WITH RECURSIVE busy AS (SELECT 1 AS n UNION ALL SELECT 1 FROM busy) SELECT max(n) FROM busy";

test("engines that start side by side are given different ports", async () => {
  const ports = await Promise.all(Array.from({ length: 600 }, () => freePort()));
  assert.equal(new Set(ports).size, ports.length);
});

test(
  "PostgreSQL keeps its rows, address and durability over a stop and a SIGKILL",
  { skip: missing("postgres") },
  async (t) => {
    const start = starter(t, startPostgres);
    const first = await start();
    await query(first.url, "CREATE TABLE kept (n integer)");
    await query(first.url, "INSERT INTO kept VALUES (1)");
    await first.stop();
    assert.ok(!isAlive(first.pid));

    const second = await start();
    assert.equal(second.url, first.url);
    await query(second.url, "INSERT INTO kept VALUES (2)");
    // A session that is busy when its head is killed lives on, and must not keep the next one out.
    const busy = query(second.url, endless).catch(() => "lost");
    await until(async () => {
      const sql = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'WITH RECURSIVE busy%'";
      return (await query(second.url, sql)).length === 1;
    }, "the long query runs");
    process.kill(second.pid, "SIGKILL");
    assert.deepEqual(await second.exited, { code: null, signal: "SIGKILL" });

    const third = await start();
    assert.equal(await busy, "lost");
    assert.deepEqual(await query(third.url, "SELECT n FROM kept ORDER BY n"), [{ n: 1 }, { n: 2 }]);
    for (const [name, value] of [
      ["fsync", "on"],
      ["synchronous_commit", "on"],
      ["full_page_writes", "on"],
      ["track_commit_timestamp", "on"],
      ["listen_addresses", "127.0.0.1"],
    ]) {
      assert.deepEqual(await query(third.url, `SHOW ${name}`), [{ [name ?? ""]: value }]);
    }
    const stranger = third.url.replace(/:[0-9a-f]+@/, ":guess@");
    await assert.rejects(query(stranger, "SELECT 1"), /password authentication failed/);
  },
);

test(
  "Redis keeps its keys over a SIGKILL, asks for a password and never evicts",
  { skip: missing("redis") },
  async (t) => {
    const start = starter(t, startRedis);
    const first = await start();
    await ask(first.url, ["SET", "kept", "7"]);
    process.kill(first.pid, "SIGKILL");
    await first.exited;

    const second = await start();
    assert.equal(second.url, first.url);
    assert.equal(await ask(second.url, ["GET", "kept"]), "7");
    const settings = [
      ["appendonly", "yes"],
      ["appendfsync", "always"],
      ["maxmemory-policy", "noeviction"],
      ["save", ""],
    ];
    for (const [name, value] of settings) {
      const answer = await ask(second.url, ["CONFIG", "GET", name ?? ""]);
      assert.ok(JSON.stringify(answer).includes(JSON.stringify(value)), `${name} is not ${value}`);
    }
    await assert.rejects(ask(second.url.replace(/:[0-9a-f]+@/, ":guess@"), ["PING"]), /WRONGPASS/);
  },
);

test(
  "Kafka answers once it is ready, and keeps its topics over a SIGKILL",
  { skip: missing("kafka") },
  async (t) => {
    const start = starter(t, startKafka);
    const first = await start();
    await withAdmin(first.url, (admin) =>
      admin.createTopics({ topics: ["kept"], partitions: 1, replicas: 1 }),
    );
    process.kill(first.pid, "SIGKILL");
    await first.exited;

    const second = await start();
    assert.equal(second.url, first.url);
    assert.deepEqual(await withAdmin(second.url, (admin) => admin.listTopics()), ["kept"]);
  },
);

for (const [title, name] of [
  [
    "with signs of shells, paths and other alphabets",
    `바탕화면 (1) it's "a" $HOME; co:lon \\ %20 #`,
  ],
  ["so long that no socket could be in it", "long ".repeat(40)],
] as const) {
  for (const [engine, start] of Object.entries({ startPostgres, startRedis, startKafka })) {
    const needs = engine.slice("start".length).toLowerCase();
    test(
      `${engine} works in a folder whose name is ${title}`,
      { skip: isEngine(needs) && missing(needs) },
      async (t) => {
        // The strictest there is, and what the engines inherit where nobody sets it.
        setEnvironment(t, { LC_ALL: "C" });
        const before = process.umask(0o077);
        t.after(() => process.umask(before));
        const parent = temporaryFolder(t);
        const running = await start({ dataFolder: join(parent, name) });
        t.after(() => running.stop());
        assert.ok(isAlive(running.pid));
      },
    );
  }
}

test("two starts on one directory never both run", { skip: missing("redis") }, async (t) => {
  const start = starter(t, startRedis);
  const outcomes = await Promise.allSettled([start(), start(), start()]);
  const running = outcomes.filter((outcome) => outcome.status === "fulfilled");
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  assert.equal(running.length, 1);
  for (const { reason } of refused) assert.match(String(reason), /Redis already runs on/);
});

test(
  "an engine whose starter was killed is replaced, not joined",
  { skip: missing("redis") },
  async (t) => {
    const dataFolder = temporaryFolder(t);
    const pid = await startByAnother(t, dataFolder);
    assert.ok(isAlive(pid));

    const next = await startRedis({ dataFolder });
    t.after(() => next.stop());
    assert.ok(!isAlive(pid));
    assert.ok(isAlive(next.pid));
  },
);

test(
  "an engine without a pid file is replaced too, whatever its program is called; a visitor stays",
  { skip: missing("redis") || (process.platform !== "linux" && "only Linux shows them all") },
  async (t) => {
    const dataFolder = temporaryFolder(t);
    // As Debian has it: the name on the PATH leads to a program of another name.
    const programs = temporaryFolder(t);
    copyFileSync(await findRedis(), join(programs, "several-in-one"));
    symlinkSync("several-in-one", join(programs, "redis-server"));
    const PATH = `${programs}${delimiter}${process.env["PATH"] ?? ""}`;
    const pid = await startByAnother(t, dataFolder, { ...process.env, PATH });
    rmSync(join(dataFolder, "redis", "pid"));
    const visitor = spawn(process.execPath, ["--eval", "setInterval(() => 0, 1_000)"], {
      cwd: join(dataFolder, "redis"),
      stdio: "ignore",
    });
    t.after(() => visitor.kill("SIGKILL"));

    const next = await startRedis({ dataFolder });
    t.after(() => next.stop());
    assert.ok(!isAlive(pid), "two of them on one directory");
    assert.ok(isAlive(visitor.pid ?? 0), "who only stands in the folder is not ended");
  },
);

test(
  "a start that is given up leaves no process and a folder that can be used",
  { skip: missing("postgres") },
  async (t) => {
    const dataFolder = temporaryFolder(t);
    const giveUp = AbortSignal.timeout(200);
    await assert.rejects(startPostgres({ dataFolder, signal: giveUp }), /abort|timeout/i);
    const engine = await startPostgres({ dataFolder });
    t.after(() => engine.stop());
    assert.deepEqual(await query(engine.url, "SELECT 1 AS one"), [{ one: 1 }]);
  },
);

test("an engine that this machine cannot have says what to install", async (t) => {
  const { PATH, JAVA_HOME } = process.env;
  const dataFolder = temporaryFolder(t);
  t.after(() => {
    for (const [name, value] of Object.entries({ PATH, JAVA_HOME })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  process.env["PATH"] = dataFolder;
  delete process.env["JAVA_HOME"];
  const options = { dataFolder, cacheFolder: join(dataFolder, "cache") };
  await assert.rejects(startRedis(options), (error) => {
    assert.ok(error instanceof EngineUnavailable);
    assert.equal(error.engine, "redis");
    assert.match(error.remedy, /apt-get install redis-server/);
    return true;
  });
  await assert.rejects(startKafka(options), (error) => {
    assert.ok(error instanceof EngineUnavailable);
    assert.match(error.reason, /no java/);
    assert.match(error.remedy, /default-jre-headless maven/);
    return true;
  });
});

function isEngine(name: string): name is "postgres" | "redis" | "kafka" {
  return ["postgres", "redis", "kafka"].includes(name);
}

function setEnvironment(t: TestContext, wanted: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(wanted)) {
    const before = process.env[name];
    process.env[name] = value;
    t.after(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

/** Redis' process, once it answers; its starter is dead by then. */
async function startByAnother(
  t: TestContext,
  dataFolder: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  const module = new URL("../src/redis.ts", import.meta.url).href;
  const code = `import { startRedis } from ${JSON.stringify(module)};
    const engine = await startRedis({ dataFolder: ${JSON.stringify(dataFolder)} });
    console.log(engine.pid);`;
  const starterProcess = spawn(process.execPath, ["--input-type=module", "--eval", code], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => starterProcess.kill("SIGKILL"));
  const pid = await new Promise<number>((resolve) => {
    starterProcess.stdout.once("data", (chunk) => resolve(Number(chunk)));
  });
  starterProcess.kill("SIGKILL");
  await new Promise((resolve) => starterProcess.once("close", resolve));
  return pid;
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-engine-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts on one folder again and again; whatever runs at the end is stopped. */
function starter(t: TestContext, start: StartEngine): () => Promise<RunningEngine> {
  const dataFolder = mkdtempSync(join(tmpdir(), "stampede-engine-"));
  const started: RunningEngine[] = [];
  t.after(async () => {
    for (const engine of started) await engine.stop();
    rmSync(dataFolder, { recursive: true, force: true });
  });
  return async () => {
    const engine = await start({ dataFolder });
    started.push(engine);
    return engine;
  };
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  // A killed server is told by the query's own rejection.
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function ask(url: string, command: string[]): Promise<unknown> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await client.sendCommand(command);
  } finally {
    client.destroy();
  }
}

async function withAdmin<Answer>(
  broker: string,
  use: (admin: Admin) => Promise<Answer>,
): Promise<Answer> {
  const admin = new Admin({ clientId: "test", bootstrapBrokers: [broker] });
  try {
    return await use(admin);
  } finally {
    await admin.close();
  }
}
