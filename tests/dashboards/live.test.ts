// Every query of every dashboard and rule, asked of a real Prometheus that has watched the real program
// through a rush on every mechanism, with the committed scrape configuration and rules.
//
// Red when a metric is renamed in packages/api or lab, when a panel or a rule names one that does not
// exist, and when an alert fires although nothing is wrong.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { mechanisms } from "@stampede/infrastructure";
import { freePort } from "@stampede/launcher";
import { missing, until } from "@stampede/launcher/testing";
import { startProgram } from "@stampede/proof/support/program.ts";
import type { Program } from "@stampede/proof/support/program.ts";
import { crowd, openEvent } from "@stampede/proof/support/shopper.ts";
import { dashboardFiles, drawnPanels } from "./support/dashboards.ts";
import { startPrometheus } from "./support/prometheus.ts";
import type { Prometheus } from "./support/prometheus.ts";
import { metricNames, substitute } from "./support/promql.ts";
import { rules } from "./support/rules.ts";
import { prometheusMissing, repository } from "./support/tools.ts";

const skip = missing("postgres", "redis", "kafka") || prometheusMissing();

const PEOPLE = 300;
const LIMIT = 100;
const PACE = 30;
const RUSH_MS_MAX = 60_000;
/** Rows are counted every five seconds, and scraped within another one. */
const SEEN_MS_MAX = 15_000;
/** Prometheus writes these itself, and only once an alert is pending. */
const ITS_OWN = new Set(["ALERTS", "ALERTS_FOR_STATE"]);

/** Its counter is the kernel's: whatever else runs on the machine may make it ring. */
const OF_THE_MACHINE = new Set(["StampedeListenOverflow"]);

describe("Prometheus, after a rush on every mechanism", { skip }, () => {
  let prometheus: Prometheus;
  let names: ReadonlySet<string>;
  let sinceMs = 0;
  let rushMs = 0;

  const cleanups = new AsyncDisposableStack();
  // What is started for the whole suite cannot end with one test's context.
  const context = {
    after: (run: () => Promise<void> | void) => {
      cleanups.defer(run);
    },
  } as Pick<TestContext, "after">;
  after(() => cleanups.disposeAsync());

  before(async () => {
    const program = await startProgram(context);
    const labPort = await freePort();
    prometheus = await startPrometheus(context, {
      stampede: [new URL(program.url).host],
      lab: [`127.0.0.1:${labPort}`],
    });
    await seen(prometheus, 'up{job="stampede"} == 1', 1);
    sinceMs = Date.now();
    await firstSales(program);
    const claimed = "sum by (mechanism) (stampede_claims_total) > 0";
    await seen(prometheus, `count_over_time((${claimed})[10s:1s]) >= 3`, mechanisms.length);
    await seen(
      prometheus,
      "max_over_time(mechanism:stampede_claims:rate5s[1m]) > 0",
      mechanisms.length,
    );
    rushMs = Date.now();
    const out = mkdtempSync(join(tmpdir(), "stampede-dashboards-"));
    cleanups.defer(() => rmSync(out, { recursive: true, force: true }));
    await rush(program, { labPort, out });
    // A busy machine scrapes late: only what never comes is a failure.
    const crowd = `max_over_time(mechanism:stampede_claims:rate5s[2m]) > ${PEOPLE / 10}`;
    await seen(prometheus, crowd, mechanisms.length);
    await seen(prometheus, `stampede_event_coupon_issues == ${LIMIT}`, mechanisms.length);
    await seen(prometheus, "stampede_event_sold_out_timestamp_seconds", mechanisms.length);
    names = new Set((await prometheus.get("label/__name__/values")) as string[]);
  });

  const gaps = (expression: string): string[] =>
    metricNames(expression).filter((name) => !names.has(name) && !ITS_OWN.has(name));

  test("misses a metric that nobody makes", () => {
    assert.deepEqual(gaps("rate(stampede_claims_totals[1m])"), ["stampede_claims_totals"]);
  });

  for (const { name, dashboard } of dashboardFiles) {
    for (const { title, targets } of drawnPanels(dashboard)) {
      for (const { refId, expr } of targets) {
        test(`has data for ${name}, "${title}", query ${refId}`, async () => {
          assert.deepEqual(gaps(expr), []);
          const series = await prometheus.range(substitute(expr), sinceMs);
          const numbers = series.flatMap(({ values }) => values).filter(Number.isFinite);
          assert.ok(numbers.length > 0, `no number in ${series.length} series: ${expr}`);
        });
      }
    }
    for (const mark of dashboard.annotations.list) {
      test(`has the times for the marks "${mark.name}" of ${name}`, async () => {
        const series = await prometheus.range(substitute(mark.expr), sinceMs);
        const events = series.filter(({ values }) =>
          values.every((timeMs) => timeMs > sinceMs - 60_000 && timeMs <= Date.now()),
        );
        assert.equal(events.length, series.length);
        assert.ok(events.length >= mechanisms.length);
      });
    }
  }

  for (const { record, alert, expr, labels = {} } of rules) {
    test(`has everything that the rule ${alert ?? record} asks for`, async () => {
      assert.deepEqual(gaps(expr), []);
      if (record === undefined) return;
      const quantile = labels["quantile"];
      const selector = quantile === undefined ? record : `${record}{quantile="${quantile}"}`;
      const series = await prometheus.range(selector, sinceMs);
      assert.ok(series.flatMap(({ values }) => values).some(Number.isFinite));
    });
  }

  test("has evaluated every rule without an error, and no alert fires", async () => {
    const { groups } = (await prometheus.get("rules")) as {
      groups: { rules: { name: string; health: string; state?: string; lastError?: string }[] }[];
    };
    const evaluated = groups.flatMap((group) => group.rules);
    assert.equal(evaluated.length, rules.length);
    for (const { name, health, state, lastError } of evaluated) {
      assert.equal(health, "ok", `${name}: ${lastError ?? ""}`);
      if (!OF_THE_MACHINE.has(name)) assert.notEqual(state, "firing", name);
    }
  });

  for (const { name: mechanism } of mechanisms) {
    test(`saw the very first claims of ${mechanism}: counters start at 0 and not at their first value`, async () => {
      const rate = await prometheus.range(
        `mechanism:stampede_claims:rate5s{mechanism="${mechanism}"}`,
        sinceMs,
        rushMs,
      );
      assert.ok(rate.flatMap(({ values }) => values).some((perSecond) => perSecond > 0));
    });

    test(`saw the crowd of ${mechanism} arrive, and as many coupons as there were`, async () => {
      const rate = await prometheus.range(
        `mechanism:stampede_claims:rate5s{mechanism="${mechanism}"}`,
        sinceMs,
      );
      const highest = Math.max(...rate.flatMap(({ values }) => values));
      assert.ok(highest > PEOPLE / 10, `${highest} answers per second at most`);
      const left = await prometheus.range(
        `stampede_event_remaining{mechanism="${mechanism}"}`,
        sinceMs,
      );
      assert.ok(left.some(({ values }) => values.at(-1) === 0));
    });
  }

  test("saw people stand in line, and the line end", async () => {
    const lines = await prometheus.range("event:stampede_queue_length:max", sinceMs);
    assert.ok(lines.some(({ values }) => Math.max(...values) > 0));
    for (const { labels, values } of lines) assert.equal(values.at(-1), 0, labels["event"] ?? "");
  });

  test("gives the variable of the dashboards the events of the rush", async () => {
    const events = (await prometheus.get("label/event/values", {
      "match[]": "stampede_event_limit",
    })) as string[];
    assert.ok(events.length >= mechanisms.length);
  });
});

async function seen(prometheus: Prometheus, expression: string, least: number): Promise<void> {
  await until(
    async () => {
      const { result } = (await prometheus.get("query", { query: expression })) as {
        result: unknown[];
      };
      return result.length >= least;
    },
    `Prometheus has ${least} series of ${expression}`,
    { msMax: SEEN_MS_MAX, pollMs: 50, errorIsNotYet: true },
  );
}

/**
 * The first claims that the program ever sees, of each mechanism. A line has a pace and takes two
 * seconds: without one nobody would wait long enough to be told how long.
 */
async function firstSales(program: Program): Promise<void> {
  for (const { name: mechanism, queues } of mechanisms) {
    const pace = queues ? { pace: PACE } : {};
    const event = await openEvent(program, { name: "First", mechanism, limit: LIMIT, ...pace });
    await crowd(program, { event, people: 2 * PACE });
  }
}

/** `npm run rush` as a person types it, with its metrics served meanwhile. */
async function rush(
  { url, adminToken, databaseUrl }: Program,
  { labPort, out }: { readonly labPort: number; readonly out: string },
): Promise<void> {
  const { PATH = "", HOME = "" } = process.env;
  const options = ["--users", PEOPLE, "--limit", LIMIT, "--repeat", 2, "--metrics-port", labPort];
  const child = spawn(
    process.execPath,
    ["lab/compare/main.ts", "rush", "--url", url, "--out", out, ...options.map(String)],
    {
      cwd: repository,
      env: { PATH, HOME, ADMIN_TOKEN: adminToken, DATABASE_URL: databaseUrl },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: RUSH_MS_MAX,
    },
  );
  let words = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      words += chunk.toString();
    });
  }
  const [code] = await once(child, "exit");
  assert.equal(code, 0, words);
}
