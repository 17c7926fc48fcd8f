// A small comparison by the command itself, on the real program and real engines: its JSON is read
// back and has to hold together.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";

import type { Comparison } from "@stampede/lab/compare";
import { missing } from "@stampede/launcher/testing";

import { startProgram } from "@stampede/proof/support/program.ts";
import { checkComparison } from "./support/check-comparison.ts";

const command = join(import.meta.dirname, "..", "compare", "main.ts");
const skip = missing("postgres", "redis", "kafka");

test(
  "compares all mechanisms and the empty handler, and writes what it found",
  { skip },
  async (t) => {
    const { url, adminToken, databaseUrl } = await startProgram(t);
    const out = mkdtempSync(join(tmpdir(), "stampede-lab-test-"));
    t.after(() => rmSync(out, { recursive: true, force: true }));
    const size = ["--people", "80", "--limit", "10", "--rounds", "2", "--warm-ups", "1"];
    const child = spawn(
      process.execPath,
      [command, "compare", "--url", url, "--out", out, ...size],
      {
        env: { PATH: process.env["PATH"], ADMIN_TOKEN: adminToken, DATABASE_URL: databaseUrl },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    t.after(() => child.kill("SIGKILL"));
    const [, summary, said] = await Promise.all([
      once(child, "exit"),
      text(child.stdout),
      text(child.stderr),
    ]);
    const comparison: Comparison = JSON.parse(readFileSync(join(out, "comparison.json"), "utf8"));
    checkComparison(comparison, { rounds: 2 });
    assert.match(said, /round 2 of 2: ceiling/);
    assert.match(summary, /80 people/);
    assert.ok(statSync(join(out, "report.html")).size > 1_000);

    const { subjects, mechanisms, environment, runs } = comparison;
    assert.deepEqual(subjects, ["ceiling", ...mechanisms.map(({ name }) => name)]);
    assert.ok(mechanisms.length >= 3);
    assert.match(environment.versions["postgres"] ?? "", /^\d+\./);
    assert.equal(environment.durability["postgres fsync"], "on");
    assert.match(environment.command, /--people 80/);
    for (const run of runs) {
      const name = `${run.subject} in round ${run.round}`;
      // Eighty people are served within one tick of the clock that splits it: only the sum is never 0.
      const { user, system } = run.cpuMicrosPerClaim["crowd"] ?? { user: 0, system: 0 };
      assert.ok(user + system > 0, name);
      if (run.subject === "ceiling") {
        assert.equal(run.durableMs, null, name);
        continue;
      }
      // The rows of a sale are written while it lasts, by a clock that is the database's own.
      assert.ok(run.durableMs !== null && run.durableMs >= -2, `${name}: ${run.durableMs} ms`);
      assert.ok(run.lastVerdictMs !== null && run.durableMs <= run.lastVerdictMs + 2, name);
      const { displacement, inversions } = run.fairness ?? {};
      assert.ok(inversions !== undefined && inversions >= 0 && inversions <= 1, name);
      assert.ok(displacement !== undefined && displacement.p50 <= displacement.max, name);
      assert.ok(displacement.max < 80, name);
      assert.ok(run.eventLoopDelayMs !== null && run.eventLoopDelayMs.max >= 0, name);
      const trips = Object.keys(run.roundTripsPerClaim);
      assert.ok(
        trips.some((trip) => trip.startsWith("postgres ")),
        `${name}: ${trips.join()}`,
      );
    }
    const rowLock = runs.find(({ subject }) => subject === "row-lock");
    // What a row lock is: each claim, losers too, is a transaction of its own.
    assert.ok(Number(rowLock?.roundTripsPerClaim["postgres transaction"]) >= 1);
  },
);
