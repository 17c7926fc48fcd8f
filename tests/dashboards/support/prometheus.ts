// A real Prometheus for one test: the committed configuration and rules, other targets.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "@stampede/launcher";
import { until } from "@stampede/launcher/testing";
import { parse } from "yaml";
import { programPath, prometheusFolder } from "./tools.ts";

const READY_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;
const POLL_MS = 50;

type Series = {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly number[];
};

export type Prometheus = {
  readonly url: string;
  /** `data` of an answer of its HTTP API. Fails with its words where it refuses. */
  readonly get: (path: string, query?: Readonly<Record<string, string>>) => Promise<unknown>;
  /** Every second from `sinceMs` until `untilMs`, epoch; left out: now. */
  readonly range: (
    expression: string,
    sinceMs: number,
    untilMs?: number,
  ) => Promise<readonly Series[]>;
};

/** `targets` by job; a job that is not named has none. Stopped and removed after the test. */
export async function startPrometheus(
  t: Pick<TestContext, "after">,
  targets: Readonly<Record<string, readonly string[]>>,
): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-prometheus-"));
  let child: ChildProcess | null = null;
  t.after(async () => {
    if (child !== null) await stop(child);
    rmSync(folder, { recursive: true, force: true });
  });
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(folder, "prometheus.yml");
  writeFileSync(config, configured({ ...targets, prometheus: [address] }));
  child = spawn(
    programPath("prometheus"),
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
      "--log.level=warn",
    ],
    { cwd: folder, stdio: ["ignore", "ignore", "pipe"] },
  );
  let words = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-4_000);
  });
  const url = `http://${address}`;
  await until(
    async () => {
      if (child?.exitCode !== null) throw new Error(`Prometheus ended:\n${words}`);
      return (await fetch(`${url}/-/ready`)).ok;
    },
    "Prometheus is ready",
    { msMax: READY_MS_MAX, pollMs: POLL_MS, errorIsNotYet: true },
  );
  return api(url);
}

function api(url: string): Prometheus {
  const get: Prometheus["get"] = async (path, query = {}) => {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(query).toString()}`);
    const answer = (await response.json()) as { data?: unknown; error?: string };
    if (!response.ok) throw new Error(`${answer.error}: ${JSON.stringify(query)}`);
    return answer.data;
  };
  return {
    url,
    get,
    async range(expression, sinceMs, untilMs = Date.now()) {
      const query = {
        query: expression,
        start: String(sinceMs / 1_000),
        end: String(untilMs / 1_000),
        step: "1",
      };
      const { result } = (await get("query_range", query)) as {
        result: { metric: Record<string, string>; values: [number, string][] }[];
      };
      return result.map(({ metric, values }) => ({
        labels: metric,
        values: values.map(([, value]) => Number(value)),
      }));
    },
  };
}

/** The committed file with these targets; JSON is YAML. */
function configured(targets: Readonly<Record<string, readonly string[]>>): string {
  const committed = parse(readFileSync(join(prometheusFolder, "prometheus.yml"), "utf8"));
  return JSON.stringify({
    ...committed,
    rule_files: committed.rule_files.map((glob: string) => join(prometheusFolder, glob)),
    scrape_configs: committed.scrape_configs.map((job: { job_name: string }) => ({
      ...job,
      static_configs: [{ targets: targets[job.job_name] ?? [] }],
    })),
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit").then(() => true);
  child.kill("SIGTERM");
  if (await Promise.race([ended, pause(STOP_MS_MAX, false, { ref: false })])) return;
  child.kill("SIGKILL");
  await ended;
}
