// One /metrics for all workers: prom-client adds them up, each metric by its own aggregator.
import { setTimeout as sleep } from "node:timers/promises";
import { AggregatorRegistry } from "prom-client";
import type { MetricsJson } from "./channel.ts";

export type MetricsSource = { readonly ownMetrics: () => Promise<MetricsJson> };

export type MetricsOfAll = {
  /** Of those that live. What a silent one has counted so far is in it. */
  readonly read: (workers: ReadonlySet<MetricsSource>) => Promise<string>;
  /** What it had counted when it was last read stays in the sums. */
  readonly ended: (worker: MetricsSource) => void;
};

/** A worker that hangs must not hold a scrape, whose own patience is some seconds. */
const ANSWER_MS_MAX = 1_000;

/** What goes with a worker is how much it holds, not how much it has done. */
const grown = (metrics: MetricsJson): MetricsJson =>
  // Written as a word, whatever the type says.
  metrics.filter(({ type }) => String(type) !== "gauge");

export function metricsOfAll({
  startedAtSeconds,
  answerMsMax = ANSWER_MS_MAX,
}: {
  readonly startedAtSeconds: number;
  readonly answerMsMax?: number;
}): MetricsOfAll {
  const last = new Map<MetricsSource, MetricsJson>();
  const left: MetricsJson[] = [];
  let underWay: Promise<string> | null = null;

  const ask = async (worker: MetricsSource): Promise<boolean> => {
    const metrics = await Promise.race([worker.ownMetrics(), sleep(answerMsMax, null)]);
    if (metrics !== null) last.set(worker, metrics);
    return metrics !== null;
  };
  const readAll = async (workers: ReadonlySet<MetricsSource>): Promise<string> => {
    const all = [...workers];
    const answered = await Promise.all(all.map(ask));
    // One that has ended meanwhile is among those that left.
    const told = all.flatMap((worker, n) => {
      const metrics = last.get(worker) ?? [];
      return workers.has(worker) ? [answered[n] === true ? metrics : grown(metrics)] : [];
    });
    const ofProgram = [
      gaugeOf(
        "process_start_time_seconds",
        "When the program started, Unix time.",
        startedAtSeconds,
      ),
      gaugeOf(
        "stampede_workers",
        "Workers that tell their metrics.",
        answered.filter(Boolean).length,
      ),
    ];
    const text = aggregate([ofProgram, ...told, ...left]).metrics();
    if (left.length > 1) {
      const those = left.splice(0);
      left.push(await aggregate(those).getMetricsAsJSON());
    }
    return text;
  };

  return {
    read(workers) {
      underWay ??= readAll(workers).finally(() => {
        underWay = null;
      });
      return underWay;
    },
    ended(worker) {
      left.push(grown(last.get(worker) ?? []));
      last.delete(worker);
    },
  };
}

function gaugeOf(name: string, help: string, value: number): object {
  return { name, help, type: "gauge", aggregator: "first", values: [{ value, labels: {} }] };
}

const aggregate = (sources: readonly object[]): ReturnType<typeof AggregatorRegistry.aggregate> =>
  AggregatorRegistry.aggregate([...sources]);
