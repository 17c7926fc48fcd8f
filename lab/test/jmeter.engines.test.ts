// The real JMeter against the real program: one small crowd on each version, by the command itself.
// Red when a version sells wrongly, when the plan is one that JMeter does not run as meant, or when
// an interrupt leaves anything behind.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";

import { missing, until } from "@stampede/launcher/testing";
import { shopOf } from "@stampede/lab";
import { readMechanisms } from "@stampede/lab/compare";
import { findMaven, judgeSamples, readJtl, type JmeterComparison } from "@stampede/lab/jmeter";

import { startProgram, type Program } from "@stampede/proof/support/program.ts";

const command = join(import.meta.dirname, "..", "jmeter", "main.ts");
const people = 40;
const limit = 5;

/** With STAMPEDE_NO_SKIPS=1 the tests run, and the command says what is missing. */
function mavenMissing(): string | false {
  const found = findMaven();
  return "fault" in found && process.env["STAMPEDE_NO_SKIPS"] !== "1" ? found.fault : false;
}

const skip = missing("postgres", "redis", "kafka") || mavenMissing();

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-jmeter-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function start(t: TestContext, program: Program, args: readonly string[]): ChildProcess {
  const { adminToken: ADMIN_TOKEN, databaseUrl: DATABASE_URL } = program;
  const all = [...args, "--people", String(people), "--limit", String(limit), "--url", program.url];
  const child = spawn(process.execPath, [command, ...all], {
    env: { ...process.env, ADMIN_TOKEN, DATABASE_URL },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGTERM"));
  return child;
}

test("JMeter as a witness", { skip }, async (t) => {
  const program = await startProgram(t);

  await t.test("every version sells exactly its coupons to JMeter's people", async (t) => {
    const out = join(newFolder(t), "out");
    const child = start(t, program, ["all", "--out", out]);
    const [[code], table, told] = await Promise.all([
      once(child, "exit"),
      text(child.stdout!),
      text(child.stderr!),
    ]);
    assert.equal(code, 0, `${table}\n${told}`);
    assert.match(table, /RIGHT by SQL/);
    assert.match(table, /v3 kafka-queue .* 0 +5 of 5/);
    assert.match(readFileSync(join(out, "summary.md"), "utf8"), /\| v2 redis-counter \|/);
    const comparison: JmeterComparison = JSON.parse(
      readFileSync(join(out, "comparison.json"), "utf8"),
    );
    const versions = (await readMechanisms(program.url)).map(({ version }) => version);
    assert.deepEqual(
      comparison.runs.map(({ version }) => version),
      versions,
    );
    for (const [index, run] of comparison.runs.entries()) {
      const folder = join(out, `0${index + 1}-${run.version}`);
      assert.deepEqual([...run.violations, ...run.voidReasons], []);
      assert.equal(run.issuedRows, limit);
      assert.ok(existsSync(join(folder, "report", "index.html")), "JMeter's own report");
      const samples = readJtl(readFileSync(join(folder, "results.csv"), "utf8"));
      const claims = samples.filter(({ label }) => label === "Claim");
      assert.equal(new Set(claims.map(({ person }) => person)).size, people);
      // Nobody is sent before everybody is there: the last one to arrive has its answer by then.
      const arrivals = samples.filter(({ label }) => label === "Arrive");
      const lastArrivalMs = Math.max(...arrivals.map((a) => a.sentMs + a.elapsedMs));
      assert.ok(claims.every(({ sentMs }) => sentMs >= lastArrivalMs - 5));
      assert.ok(
        claims.every(({ connectMs }) => connectMs === 0),
        "claims use open connections",
      );

      // One who was told sold out is now told a coupon, which no row knows.
      const { url, adminToken, databaseUrl } = program;
      const place = { pids: () => ({}), redisUrl: null, kafkaBrokers: null, origin: "a test" };
      const shop = shopOf({ url, adminToken, databaseUrl, ...place });
      const sale = await shop.readSale(run.eventId);
      const { body } = samples.find(({ body }) => body.includes('"status":"issued"'))!;
      const loser = samples.findIndex(({ body }) => body.includes("sold-out"));
      const status = samples[loser]?.label === "Claim" ? 201 : 200;
      const doctored = samples.with(loser, { ...samples[loser]!, status, body });
      assert.deepEqual(judgeSamples(run, { samples, sale }).violations, []);
      const { violations } = judgeSamples(run, { samples: doctored, sale });
      assert.match(violations.join("\n"), /S18|S3/);
    }
  });

  await t.test("Ctrl-C ends Maven and JMeter and leaves nothing behind", async (t) => {
    const folder = newFolder(t);
    const out = join(folder, "out");
    // People come slowly, so that JMeter would go on for long.
    const child = start(t, program, ["v1", "--ramp", "30", "--out", out]);
    const exit = once(child, "exit");
    await until(
      () => mavenProcesses(out).some((words) => words.includes("ApacheJMeter")),
      "Maven runs JMeter",
      { msMax: 60_000, pollMs: 50 },
    );
    child.kill("SIGINT");
    const [code] = await exit;
    assert.equal(code, 130);
    assert.deepEqual(mavenProcesses(out), []);
    assert.equal(existsSync(out), false);
  });
});

/** Living processes, other than the command itself, that are told to work in the folder. */
function mavenProcesses(folder: string): string[] {
  return globSync("/proc/[0-9]*/cmdline").flatMap((path) => {
    try {
      const words = readFileSync(path, "utf8").split("\0");
      return words.some((word) => word.includes(`${folder}/`)) ? [words.join(" ")] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}
