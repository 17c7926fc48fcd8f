import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeLimits, ownLimits } from "../src/limits.ts";

test("limits that are high enough say nothing", () => {
  assert.equal(judgeLimits({ files: 12_000, processes: Infinity }), null);
});

test("few file descriptors are told with how many people they are enough for", () => {
  assert.match(
    judgeLimits({ files: 1_024, processes: 500 }) ?? "",
    /allows 1024 open files: enough for about 824 people at once.*ulimit -n 12000/,
  );
});

test("too few descriptors or processes are refused with the number that is needed", () => {
  assert.throws(() => judgeLimits({ files: 256, processes: 500 }), /256 open files, .* needs 400/);
  assert.throws(
    () => judgeLimits({ files: 12_000, processes: -3 }),
    /may start 0 more processes and threads, and Stampede needs 200: .*ulimit -u/,
  );
});

test("this process's own limits are numbers", () => {
  const { files, processes } = ownLimits();
  assert.ok(files > 0);
  assert.ok(!Number.isNaN(processes));
});
