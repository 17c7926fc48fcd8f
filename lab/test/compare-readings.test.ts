// What the lab reads of the machine and of the server: the kernel's files, the metrics' text, and the
// text that it tells Prometheus itself.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";

import {
  cpuMicrosOf,
  eventLoopDelayMs,
  labMetrics,
  listenOverflowsIn,
  memorySampler,
  roundTripsPerClaim,
  scrapeOf,
  serveMetrics,
  statOf,
} from "@stampede/lab/compare";

describe("the CPU of a process", () => {
  test("is read behind its name, which may hold anything", () => {
    const text = "42 (a) b 9 9 (x) S 7 1 1 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 11 0 5";
    const own = { user: 100, system: 20, endedChildren: 7 };
    assert.deepEqual(statOf(42, text), { pid: 42, parent: 7, ...own });
  });

  test("holds that of children, also of those that have ended", async (t) => {
    // A shell whose child works for a moment and ends, and which itself only waits.
    const burn = "while (process.cpuUsage().user < 100_000);";
    const child = spawn(
      "/bin/sh",
      ["-c", '"$0" -e "$1"; echo done; read line', process.execPath, burn],
      {
        stdio: ["pipe", "pipe", "ignore"],
      },
    );
    t.after(() => child.kill("SIGKILL"));
    await once(child.stdout, "data");
    const { shell } = cpuMicrosOf({ shell: child.pid ?? 0 });
    assert.ok(Number(shell?.total) >= 70_000, JSON.stringify(shell));
    child.stdin.end("\n");
    await once(child, "exit");
  });

  test("is finer than the ticks of its two parts", async (t) => {
    const burn =
      "while (process.cpuUsage().user < 90_000); console.log(1); setInterval(() => {}, 1e6)";
    const child = spawn(process.execPath, ["-e", burn], { stdio: ["ignore", "pipe", "ignore"] });
    t.after(() => child.kill("SIGKILL"));
    await once(child.stdout, "data");
    const { own } = cpuMicrosOf({ own: child.pid ?? 0 });
    assert.ok(own !== undefined && own.total > 70_000);
    assert.ok(own.total >= own.user + own.system);
    assert.notEqual(own.total % 10_000, 0);
    assert.equal((own.user + own.system) % 10_000, 0);
  });

  test("is left out for a process that is not there", () => {
    assert.deepEqual(cpuMicrosOf({ gone: 2 ** 30 }), {});
  });
});

test("dropped connections are found by the column's name", () => {
  const netstat =
    "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 23 4\nIpExt: InNoRoutes\nIpExt: 0\n";
  assert.equal(listenOverflowsIn(netstat), 23);
  assert.equal(listenOverflowsIn("IpExt: InNoRoutes\nIpExt: 0\n"), null);
});

test("memory is known before and at its most, and not at all of an unknown process", () => {
  const sampler = memorySampler(process.pid);
  const found = sampler.stop();
  assert.ok(found !== null && found.before > 10 && found.max >= found.before);
  assert.equal(memorySampler(null).stop(), null);
});

describe("the server's metrics", () => {
  const before = scrapeOf(
    [
      "# HELP stampede_round_trip_seconds round trips",
      'stampede_round_trip_seconds_count{engine="redis",operation="claim"} 10',
      'stampede_round_trip_seconds_bucket{le="1",engine="redis",operation="claim"} 10',
      'stampede_round_trip_seconds_count{engine="kafka",operation="fetch"} 4',
    ].join("\n"),
  );

  test("give round trips for each claim, by engine and operation", () => {
    const after = scrapeOf(
      [
        'stampede_round_trip_seconds_count{engine="redis",operation="claim"} 15',
        'stampede_round_trip_seconds_count{operation="transaction",engine="postgres"} 100',
        'stampede_round_trip_seconds_count{engine="kafka",operation="fetch"} 4',
      ].join("\n"),
    );
    assert.deepEqual(roundTripsPerClaim(before, after, 100), {
      "redis claim": 0.05,
      "postgres transaction": 1,
    });
  });

  test("give nothing where the server was started again in between, or tells nothing", () => {
    const after = scrapeOf('stampede_round_trip_seconds_count{engine="redis",operation="claim"} 1');
    assert.deepEqual(roundTripsPerClaim(before, after, 100), {});
    assert.deepEqual(roundTripsPerClaim(null, null, 100), {});
  });

  test("give the event loop's delay without the 10 ms that an idle one counts", () => {
    const scrape = scrapeOf(
      "nodejs_eventloop_lag_p50_seconds 0.0101\nnodejs_eventloop_lag_p99_seconds 0.06\nnodejs_eventloop_lag_max_seconds 0.11\n",
    );
    const { p50, p99, max } = eventLoopDelayMs(scrape) ?? { p50: NaN, p99: NaN, max: NaN };
    assert.deepEqual(
      [p50, p99, max].map((value) => Number(value.toFixed(3))),
      [0.1, 50, 100],
    );
    assert.equal(eventLoopDelayMs(before), null);
  });
});

describe("what the lab tells Prometheus", () => {
  test("counts runs by verdict and shows the last right rate only", async (t) => {
    const metrics = labMetrics();
    const served = await serveMetrics(metrics, 0);
    t.after(served.close);
    metrics.judged({ mechanism: "row-lock", verdict: "right", violations: 0, answersPerSecond: 9 });
    metrics.judged({ mechanism: "ceiling", verdict: "right", violations: 0, answersPerSecond: 8 });
    metrics.judged({
      mechanism: "ceiling",
      verdict: "wrong",
      violations: 3,
      answersPerSecond: null,
    });
    const answer = await fetch(served.url);
    const text = await answer.text();
    assert.match(answer.headers.get("content-type") ?? "", /version=0\.0\.4/);
    assert.match(text, /^stampede_lab_runs_total\{mechanism="ceiling",verdict="wrong"\} 1$/m);
    assert.match(text, /^stampede_lab_runs_total\{mechanism="row-lock",verdict="void"\} 0$/m);
    assert.match(text, /^stampede_lab_violations_total 3$/m);
    assert.match(text, /^stampede_lab_answers_per_second\{mechanism="row-lock"\} 9$/m);
    assert.doesNotMatch(text, /answers_per_second\{mechanism="ceiling"\}/);
  });

  test("is refused on a port that is taken, with what to do", async (t) => {
    const served = await serveMetrics(labMetrics(), 0);
    t.after(served.close);
    const port = Number(new URL(served.url).port);
    await assert.rejects(serveMetrics(labMetrics(), port), /is not free: choose another one/);
  });
});
