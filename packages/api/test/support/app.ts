import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import { codeFromRandom, parseEventId } from "@stampede/domain";
import type { EventId, Issuers, ProgressFeed } from "@stampede/domain";
import { memorySale } from "@stampede/domain/memory";
import type { MemorySale } from "@stampede/domain/memory";
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { pino } from "pino";
import { buildApp } from "../../src/app.ts";
import { devIdentity } from "../../src/identity.ts";
import type { Identity } from "../../src/identity.ts";
import { makeMetrics } from "../../src/metrics.ts";
import type { Admit } from "../../src/request-budget.ts";
import type { Metrics } from "../../src/metrics.ts";
import type { StreamBounds } from "../../src/routes/stream.ts";

export const ADMIN_TOKEN = "a-token-for-tests-only";
export const OPERATOR = { authorization: `Bearer ${ADMIN_TOKEN}` };

export type TestApp = {
  readonly app: FastifyInstance;
  readonly sale: MemorySale;
  readonly metrics: Metrics;
  /** The log lines written so far. */
  readonly lines: string[];
  readonly clock: { nowMs: number };
  readonly drain: () => void;
};

/** The whole HTTP edge on memory adapters; `issuers` replaces some of them. */
export async function openApp(
  t: TestContext,
  options: {
    readonly issuers?: Partial<Issuers>;
    readonly logLevel?: string;
    readonly identity?: Identity;
    readonly admit?: Admit;
    readonly feed?: ProgressFeed;
    readonly streamBounds?: StreamBounds;
  } = {},
): Promise<TestApp> {
  const clock = { nowMs: Date.parse("2026-12-01T00:00:00.000Z") };
  const lines: string[] = [];
  const sale = memorySale({
    nowMs: () => clock.nowMs,
    drawCode: () => codeFromRandom(randomBytes(26)),
  });
  const metrics = makeMetrics();
  let draining = false;
  const app = await buildApp(
    {
      store: sale.store,
      issuers: { ...sale.issuers, ...options.issuers },
      feed: options.feed ?? sale.feed,
      findMechanism: sale.findMechanism,
      identity: options.identity ?? devIdentity(ADMIN_TOKEN),
      admit: options.admit ?? null,
      metrics,
      engines: () => ({ postgres: "up", redis: "up", kafka: "off" }),
      isReady: () => true,
      isDraining: () => draining,
      takesClaims: true,
      nowMs: () => clock.nowMs,
      monotonicMs: () => performance.now(),
      random: () => 0.5,
      ...(options.streamBounds === undefined ? {} : { streamBounds: options.streamBounds }),
    },
    pino({ level: options.logLevel ?? "info" }, { write: (line) => lines.push(line) }),
  );
  t.after(async () => app.close());
  const drain = (): void => {
    draining = true;
  };
  return { app, sale, metrics, lines, clock, drain };
}

/** Makes an event by the operator's own route. */
export async function makeEvent(
  { app }: TestApp,
  wanted: Record<string, unknown> = {},
): Promise<EventId> {
  const event = { name: "Spring", mechanism: "row-lock", limit: 2, ...wanted };
  const answer = await app.inject({
    method: "POST",
    url: "/events",
    headers: OPERATOR,
    payload: event,
  });
  const id = parseEventId(answer.json<{ id: string }>().id ?? "");
  if (id === null) throw new Error(`no event was made: ${answer.body}`);
  return id;
}

export const VERSION = { "row-lock": "v1", "redis-counter": "v2", "kafka-queue": "v3" } as const;

export async function claim(
  { app }: TestApp,
  eventId: string,
  userId: string,
  version = "v1",
): Promise<LightMyRequestResponse> {
  const headers = { "x-user-id": userId };
  return app.inject({ method: "POST", url: `/${version}/events/${eventId}/issues`, headers });
}
