// The composition root: the only file of this package that knows infrastructure. Opens in order and
// closes in reverse, also on a signal during start-up.
import * as infrastructure from "@stampede/infrastructure";
import type { Foundation, ServedMechanism } from "@stampede/infrastructure";
import type { Logger } from "pino";
import { buildApp } from "./app.ts";
import type { Closing } from "./closing.ts";
import type { Config } from "./config.ts";
import { failureLines, hearInto } from "./hear.ts";
import type { Host } from "./host.ts";
import { startIdleCollection } from "./idle-collection.ts";
import { listenOverflowsMeasures } from "./listen-overflows.ts";
import { listen } from "./listening.ts";
import { engineMeasure, eventMeasures, issueCountMeasures, poolMeasures } from "./measures.ts";
import { makeMetrics } from "./metrics.ts";
import type { Metrics } from "./metrics.ts";
import { openIdentity } from "./open-identity.ts";
import { requestBudget } from "./request-budget.ts";
import { eventLoopShare, saturation } from "./saturation.ts";
import { drain } from "./shutdown.ts";

const { drawCode, drawToken, EVENTS_TOLD_MAX, systemTime: time } = infrastructure;

export async function serve(
  config: Config,
  { log, stack, host }: Readonly<{ log: Logger; stack: Closing; host: Host }>,
): Promise<void> {
  // Before anything works: what is repaired at the start must be counted too.
  const metrics = makeMetrics({
    mechanisms: infrastructure.mechanisms.map(({ name }) => name),
    batches: infrastructure.mechanisms.flatMap(({ batches }) => batches),
    readerOf: host.metricsReader,
  });
  const tell = failureLines(log, time.nowMs);
  const failure = (fact: Parameters<Metrics["facts"]["failure"]>[0] & { error: unknown }): void => {
    metrics.facts.failure(fact);
    tell(fact);
  };
  stack.defer(infrastructure.listenToFacts({ ...metrics.facts, failure }), "the metrics");
  stack.defer(startIdleCollection(), "the collector of garbage");
  const random = Math.random;
  const hear = hearInto(log, failure);
  const given = { ...config, time, random, drawCode, drawToken, hear, stack };
  const foundation = await infrastructure.openFoundation(given);
  const { postgres, directory, engines, pools } = foundation;
  const mechanisms = await infrastructure.openMechanisms(foundation);
  measure(metrics, foundation, [...mechanisms.values()]);

  const preparationOf = (name: string) => mechanisms.get(name)?.preparation ?? null;
  let draining = false;
  const app = await buildApp(
    {
      store: infrastructure.servedEventStore(foundation, preparationOf),
      mechanisms,
      feed: infrastructure.directoryProgressFeed(directory, postgres),
      findMechanism: (id) => directory.mechanismOf(id),
      identity: await openIdentity(config.auth, log, stack),
      // With AUTH=dev a person costs nothing to make up, so a limit would stop nobody but load tests.
      admit: config.auth.kind === "jwt" ? requestBudget(() => performance.now()) : null,
      metrics,
      engines,
      isDraining: () => draining,
      corsOrigins: config.corsOrigins,
      keepAliveMs: config.keepAliveMs,
      takesClaims: config.role !== "decider",
      nowMs: () => postgres.clock.nowMs(),
      monotonicMs: time.nowMs,
      random,
    },
    log,
  );
  stack.defer(async () => {
    draining = true;
    await drain(app, () => pools.forEach((pool) => pool.turnAway()));
  }, "the HTTP server");
  await host.mayListen(foundation.connections);
  host.listens(await listen(app, { ...config, shared: config.workers > 1 }));
}

export const check = (config: Config): ReturnType<typeof infrastructure.checkEngines> =>
  infrastructure.checkEngines(config);

function measure(
  metrics: Metrics,
  { postgres, directory, engines, pools, poolTaken, stack }: Foundation,
  mechanisms: readonly ServedMechanism[],
): void {
  const counts = infrastructure.issueCounts(postgres, directory, EVENTS_TOLD_MAX);
  stack.defer(() => counts.close(), "the counts of coupon issues");
  const resources = {
    "postgres-pool": poolTaken,
    ...Object.assign({}, ...mechanisms.map((mechanism) => mechanism.resources)),
    "event-loop": eventLoopShare(),
  };
  const full = saturation(
    resources,
    mechanisms.map(({ lines }) => lines),
    () => performance.now(),
  );
  stack.defer(() => full.close(), "the measure of saturation");
  metrics.add([
    ...mechanisms.flatMap((mechanism) => mechanism.measures),
    engineMeasure(engines),
    ...eventMeasures(directory, EVENTS_TOLD_MAX),
    ...issueCountMeasures(counts),
    ...poolMeasures(pools),
    full.measure,
    infrastructure.worstEvents(
      "stampede_event_saturation_ratio",
      "Taken share of the room for an event's claims, 0 to 1, the highest of the last 5 to 10 seconds: the ten worst.",
      full.ofEvents,
    ),
    ...listenOverflowsMeasures(),
  ]);
}
