import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

import { parseJmeterOptions, type JmeterOptions } from "@stampede/lab/jmeter";

const command = join(import.meta.dirname, "..", "jmeter", "main.ts");

function options(...args: string[]): JmeterOptions {
  const parsed = parseJmeterOptions(args);
  assert.ok(!("faults" in parsed), `faults of ${args.join(" ")}`);
  return parsed;
}

function faults(...args: string[]): readonly string[] {
  const parsed = parseJmeterOptions(args);
  assert.ok("faults" in parsed, `no fault in ${args.join(" ")}`);
  return parsed.faults;
}

test("runs the versions that are named, and all of them by one word", () => {
  assert.deepEqual(options("v1").mechanisms, ["v1"]);
  assert.deepEqual(options("v7", "row-lock").mechanisms, ["v7", "row-lock"]);
  assert.equal(options("all").mechanisms, null);
});

test("takes 2,000 people, 100 coupons and one round where nothing else is said", () => {
  const { people, limit, rounds, rampSeconds, deadlineSeconds, url, out } = options("all");
  assert.deepEqual(
    { people, limit, rounds, rampSeconds, deadlineSeconds, url, out },
    {
      people: 2_000,
      limit: 100,
      rounds: 1,
      rampSeconds: 4,
      deadlineSeconds: 60,
      url: null,
      out: null,
    },
  );
});

test("tells every fault in its arguments at once", () => {
  assert.deepEqual(faults("V 4", "--people", "many", "--rounds", "0", "--url", "https://shop/x"), [
    '"V 4" is no version.',
    '--people is an integer from 1 to 20000, not "many".',
    '--rounds is an integer from 1 to 100, not "0".',
    '--url is the root of a server that speaks plain HTTP, not "https://shop/x".',
  ]);
  assert.match(faults()[0] ?? "", /Name a version, such as v1, or all/);
  assert.match(faults("v1", "--threads", "5")[0] ?? "", /--threads/);
  assert.match(faults("v1", "--out=")[0] ?? "", /--out needs a value/);
});

test("ends with 2 on arguments that are none, and with 0 on --help", () => {
  const wrong = spawnSync(process.execPath, [command, "v1", "--people", "many"], {
    encoding: "utf8",
  });
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /not "many"\.\n\nnpm run jmeter -- --help/);
  const help = spawnSync(process.execPath, [command, "--help"], { encoding: "utf8" });
  assert.equal(help.status, 0);
  assert.match(help.stdout, /--people N/);
});
