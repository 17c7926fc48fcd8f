// What `npm start` promises. Red when, in launcher.ts, the leftovers are not ended, the engines are
// not put on the stack, or they are not supervised.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { describe, test } from "node:test";
import pg from "pg";
import { isAlive } from "../src/processes.ts";
import {
  assertAllGone,
  assertNothingRecorded,
  launcherFolder,
  recorded,
  START_MS_MAX,
} from "./launcher-process.ts";
import { missing, until } from "../testing/index.ts";

const ready = "Stop  ";

describe("launcher", { skip: missing("postgres", "redis") }, () => {
  test("says what runs in private files, makes the demo events, and SIGINT leaves nothing", async (t) => {
    const { folder, start } = launcherFolder(t);
    const launcher = start();
    await launcher.prints(ready);

    const engines = recorded(folder);
    assert.deepEqual(Object.keys(engines), ["databaseUrl", "redisUrl", "kafkaBrokers", "pids"]);
    assert.match(String(engines["databaseUrl"]), /^postgres:\/\/.*\/stampede$/);
    assert.match(String(engines["redisUrl"]), /^redis:\/\//);
    assert.equal(engines["kafkaBrokers"], "127.0.0.1:9");
    const { launcher: self, kafka, ...own } = engines.pids;
    assert.equal(self, launcher.pid);
    assert.equal(kafka, null);
    for (const pid of Object.values(own)) assert.ok(pid !== null && isAlive(pid));
    for (const file of ["engines.json", "server.json"]) {
      assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600);
    }
    const url = pageOf(launcher.output());
    const { events } = await getJson(`${url}/events`);
    assert.deepEqual(
      events.map(({ id, limit, pace }) => [id, limit, pace]),
      [
        ["demo-plain", 100, undefined],
        ["demo-counting", 100, undefined],
        ["demo-queueing", 100, 5],
      ],
    );

    launcher.signal("SIGINT");
    // Twice, as a terminal and npm together send it: that is one wish, not two.
    launcher.signal("SIGINT");
    assert.equal(await launcher.exited, 0);
    assertAllGone(engines.pids);
    assert.deepEqual(
      readdirSync(folder).filter((file) => file.endsWith(".json")),
      [],
    );
  });

  test("starts the server and each engine again at the same address when they are killed", async (t) => {
    const { folder, start } = launcherFolder(t);
    const launcher = start();
    await launcher.prints(ready);
    const before = recorded(folder);
    for (const name of ["server", "postgres", "redis"] as const) {
      process.kill(before.pids[name] ?? 0, "SIGKILL");
    }
    for (const title of ["The server", "PostgreSQL", "Redis"]) {
      await launcher.prints(`${title} is back`);
    }
    const after = recorded(folder);
    assert.deepEqual({ ...after, pids: null }, { ...before, pids: null });
    for (const name of ["server", "postgres", "redis"] as const) {
      assert.notEqual(after.pids[name], before.pids[name]);
      assert.ok(isAlive(after.pids[name] ?? 0));
    }
    assert.equal((await fetch(`${pageOf(launcher.output())}/readyz`)).status, 200);
  });

  test("replaces what a killed launcher left running, and no row is lost", async (t) => {
    const { folder, start } = launcherFolder(t);
    const killed = start();
    await killed.prints(ready);
    const before = recorded(folder);
    await query(before["databaseUrl"], "CREATE TABLE kept AS SELECT 7 AS seven");
    killed.signal("SIGKILL");
    await killed.exited;
    assert.ok(isAlive(before.pids.postgres ?? 0), "the engines outlive a killed launcher");

    const next = start();
    await next.prints(ready);
    assertAllGone({ ...before.pids, launcher: null });
    const after = recorded(folder);
    assert.equal(after["databaseUrl"], before["databaseUrl"]);
    assert.deepEqual(await query(after["databaseUrl"], "SELECT seven FROM kept"), [{ seven: 7 }]);

    next.signal("SIGTERM");
    assert.equal(await next.exited, 0);
    const fresh = start({ args: ["--fresh"] });
    await fresh.prints(ready);
    const { databaseUrl } = recorded(folder);
    await assert.rejects(query(databaseUrl, "SELECT seven FROM kept"), /does not exist/);
  });

  for (const [through, signal] of [
    ["npm", "SIGTERM"],
    ["npm", "SIGKILL"],
    ["shell", "SIGKILL"],
  ] as const) {
    test(`leaves nothing behind when ${signal} ends the ${through} that started it`, async (t) => {
      const { folder, start } = launcherFolder(t);
      const launcher = start({ through });
      await launcher.prints(ready);
      const { pids } = recorded(folder);
      assert.notEqual(pids.launcher, launcher.pid);
      launcher.signal(signal);
      await until(
        () => Object.values(pids).every((pid) => pid === null || !isAlive(pid)),
        "all end",
        {
          msMax: START_MS_MAX,
        },
      );
      assertNothingRecorded(folder);
    });
  }

  test("ends and leaves nothing behind when nobody reads what it says any more", async (t) => {
    const { folder, start } = launcherFolder(t);
    const launcher = start();
    await until(() => existsSync(join(folder, "redis", "pid")), "the first engine runs", {
      msMax: START_MS_MAX,
    });
    launcher.stopReading();
    assert.equal(await launcher.exited, 0);
    assertNothingRecorded(folder);
  });

  test("asks its own server past a proxy that the environment names", async (t) => {
    const { start } = launcherFolder(t);
    const proxy = "http://127.0.0.1:9";
    const launcher = start({
      environment: { NODE_USE_ENV_PROXY: "1", HTTP_PROXY: proxy, http_proxy: proxy, NO_PROXY: "" },
    });
    await launcher.prints(ready);
    assert.doesNotMatch(launcher.output(), /No demo events/);
  });

  test("names HOST where a shell has set it to a name that is no address of this machine", async (t) => {
    const { folder, start } = launcherFolder(t);
    const launcher = start({ environment: { HOST: "x86_64-conda-linux-gnu" } });
    assert.equal(await launcher.exited, 1);
    assert.match(
      launcher.output(),
      /HOST is "x86_64-conda-linux-gnu", and this machine cannot listen there .*HOST=127\.0\.0\.1 npm start/,
    );
    assert.doesNotMatch(launcher.output(), /^ +at /m);
    assert.ok(!existsSync(join(folder, "postgres")));
  });

  test(
    "refuses a folder that it may not write to and names another way",
    { skip: process.platform !== "linux" && "only Linux has a folder that nobody may write to" },
    async (t) => {
      const { start } = launcherFolder(t);
      const launcher = start({ args: ["--data", "/sys/stampede"] });
      assert.equal(await launcher.exited, 1);
      assert.match(
        launcher.output(),
        /cannot keep its data in \/sys\/stampede\. .* \/sys\/stampede: .* npm start -- --data FOLDER/,
      );
      assert.doesNotMatch(launcher.output(), /^ +at /m);
    },
  );

  test("starts without Kafka where its Java fails, and says with what words", async (t) => {
    const { folder, start } = launcherFolder(t);
    const tools = join(folder, "tools");
    mkdirSync(tools);
    const lines = [
      "#!/bin/sh",
      "echo 'openjdk version \"17.0.1\"' >&2",
      '[ "$1" = -XshowSettings:properties ]',
    ];
    writeFileSync(join(tools, "java"), [...lines, ""].join("\n"), { mode: 0o755 });
    const PATH = `${tools}${delimiter}${process.env["PATH"] ?? ""}`;
    const launcher = start({ environment: { PATH, JAVA_HOME: "", KAFKA_BROKERS: "" } });
    await launcher.prints(ready);
    assert.match(
      launcher.output(),
      /Kafka is off, and every mechanism that needs it: Formatting Kafka's folder failed/,
    );
  });

  test("refuses a second start on the same folder and names the first", async (t) => {
    const { folder, start } = launcherFolder(t);
    const first = start();
    await first.prints(ready);
    const { pids } = recorded(folder);
    const second = start();
    assert.equal(await second.exited, 1);
    assert.match(
      second.output(),
      new RegExp(`already runs .* ${first.pid}, ${pageOf(first.output())}`),
    );
    assert.deepEqual(recorded(folder).pids, pids);
    for (const pid of Object.values(pids)) assert.ok(pid === null || isAlive(pid));
  });

  test("names a port that is taken, and another one, before it starts anything", async (t) => {
    const { folder, start } = launcherFolder(t);
    const taken = createServer().listen(0, "127.0.0.1");
    t.after(() => taken.close());
    await until(() => taken.listening, "the port is taken");
    const { port } = taken.address() as AddressInfo;
    const launcher = start({ environment: { PORT: String(port) } });
    assert.equal(await launcher.exited, 1);
    assert.match(
      launcher.output(),
      new RegExp(`Port ${port} .* is taken.*PORT=${port + 1} npm start`),
    );
    assert.ok(!existsSync(join(folder, "postgres")));
  });

  test("hands on how many workers are wanted, and refuses a number that is none", async (t) => {
    const { folder, start } = launcherFolder(t);
    for (const wrong of ["0", "65", "two"]) {
      const refused = start({ args: ["--workers", wrong] });
      assert.equal(await refused.exited, 1);
      assert.match(refused.output(), new RegExp(`--workers must be .* 1 to 64, not "${wrong}"`));
    }
    assert.ok(!existsSync(join(folder, "postgres")));
    const launcher = start({ args: ["--workers", "2"], environment: { WORKERS: "3" } });
    await launcher.prints(ready);
    assert.match(launcher.output(), /Workers +2/);
    const { WORKERS } = Object(await getJson(`${pageOf(launcher.output())}/environment`));
    assert.equal(WORKERS, "2");
  });

  test("ends with 0 and leaves nothing when the signal comes while an engine starts", async (t) => {
    const { folder, start } = launcherFolder(t);
    const launcher = start();
    await until(() => existsSync(join(folder, "redis", "pid")), "the first engine runs", {
      msMax: START_MS_MAX,
    });
    launcher.signal("SIGINT");
    assert.equal(await launcher.exited, 0);
    assertNothingRecorded(folder);
  });

  test("ends with 0 and leaves nothing when the signal comes while the server starts", async (t) => {
    const { folder, start } = launcherFolder(t);
    const launcher = start({ environment: { FAKE_READY: "never" } });
    await until(() => existsSync(join(folder, "server.pid")), "the server runs", {
      msMax: START_MS_MAX,
    });
    launcher.signal("SIGTERM");
    assert.equal(await launcher.exited, 0);
    assertNothingRecorded(folder);
  });

  // Red when a check takes a folder that runs, or leaves running what it has started.
  test("looks at its own engines with --check: those that run, else started and stopped again", async (t) => {
    const { folder, start } = launcherFolder(t);
    const alone = start({ args: ["--check"] });
    assert.equal(await alone.exited, 3);
    assert.match(alone.output(), /checked .*"DATABASE_URL":"postgres:.*"REDIS_URL":"redis:/);
    assertNothingRecorded(folder);

    const launcher = start();
    await launcher.prints(ready);
    const beside = start({ args: ["--check"] });
    assert.equal(await beside.exited, 3);
    assert.match(beside.output(), /Our own engines are those that run on/);
    const { databaseUrl, redisUrl } = recorded(folder);
    assert.ok(beside.output().includes(`"DATABASE_URL":"${String(databaseUrl)}"`));
    assert.ok(beside.output().includes(`"REDIS_URL":"${String(redisUrl)}"`));
    launcher.signal("SIGINT");
    assert.equal(await launcher.exited, 0);
  });

  test("without Java says in one line that Kafka is off and what to install; the rest runs", async (t) => {
    const { folder, start } = launcherFolder(t);
    const tools = join(folder, "tools");
    mkdirSync(tools);
    // Where redis-server is on the PATH, nobody has fetched the one that needs Java.
    for (const name of ["id", "setpriv", "redis-server"]) {
      const found = (process.env["PATH"] ?? "").split(delimiter).map((entry) => join(entry, name));
      const path = found.find((entry) => existsSync(entry));
      if (path !== undefined) symlinkSync(path, join(tools, name));
    }
    const environment = { PATH: tools, JAVA_HOME: folder, KAFKA_BROKERS: "" };
    const launcher = start({ environment });
    await launcher.prints(ready);
    const lines = launcher
      .output()
      .split("\n")
      .filter((line) => line.includes("is off"));
    assert.equal(lines.length, 1);
    assert.match(
      lines[0] ?? "",
      /Kafka is off, and every mechanism that needs it: .*apt-get install default-jre-headless/,
    );
    assert.match(launcher.output(), /demo-queueing is left out/);
    assert.equal(recorded(folder)["kafkaBrokers"], null);
    const given = await getJson(`${pageOf(launcher.output())}/environment`);
    assert.ok(!("KAFKA_BROKERS" in given), "an engine that is off has no variable");
  });
});

function pageOf(output: string): string {
  return /Page +(?<url>http:\S+)/.exec(output)?.groups?.["url"] ?? "no page";
}

async function getJson(url: string): Promise<{ events: Record<string, unknown>[] }> {
  return JSON.parse(await (await fetch(url)).text());
}

async function query(url: unknown, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: String(url) });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
