import type { Broker } from "@platformatic/kafka";
import { EngineFault } from "@stampede/domain";
import type { Cluster } from "../../engines/kafka/cluster.ts";
import { inspectLogs } from "./topics.ts";
import type { LogCondition } from "./topics.ts";

/**
 * As `inspectLogs`, and a log is broken only where two brokers say so, each by what it knows of topics
 * and leaders: one that has just started, or is cut off from the others, may know less than all of
 * them. Where there is one broker only, it is believed.
 */
export async function inspectByTwo(
  cluster: Cluster,
  logs: Parameters<typeof inspectLogs>[1],
  options: { readonly retention: boolean },
): Promise<Map<string, LogCondition>> {
  if (cluster.brokersMax() === 1) return inspectLogs(cluster, logs, options);
  await cluster.refresh();
  const views: Map<string, LogCondition>[] = [];
  for (const from of cluster.brokers()) {
    const view = await viewOf(cluster, logs, { ...options, from });
    if (view !== null) views.push(view);
    if (views.length === 2) break;
  }
  const [first, second] = views;
  if (first === undefined) throw silent();
  return new Map(
    [...first].map(([topic, condition]) => {
      const agreed = (second?.get(topic)?.broken ?? null) !== null;
      return [topic, agreed ? condition : { ...condition, broken: null }];
    }),
  );
}

/** Null where this broker does not answer. */
async function viewOf(
  cluster: Cluster,
  logs: Parameters<typeof inspectLogs>[1],
  options: { readonly retention: boolean; readonly from: Broker },
): Promise<Map<string, LogCondition> | null> {
  try {
    return await inspectLogs(cluster, logs, options);
  } catch (error) {
    if (error instanceof EngineFault) return null;
    throw error;
  }
}

function silent(): EngineFault {
  return new EngineFault("kafka", "not-applied", "no Kafka broker tells of its topics");
}
