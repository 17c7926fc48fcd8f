import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import { codeFromRandom, parseEventId } from "@stampede/domain";
import type { CouponIssuer, EventId, ProgressFeed } from "@stampede/domain";
import { memoryMechanisms, memorySale } from "@stampede/domain/memory";
import type { MemorySale } from "@stampede/domain/memory";
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { pino } from "pino";
import { buildApp } from "../../src/app.ts";
import { devIdentity } from "../../src/identity.ts";
import type { Identity } from "../../src/identity.ts";
import { makeMetrics } from "../../src/metrics.ts";
import type { Admit } from "../../src/request-budget.ts";
import type { Metrics } from "../../src/metrics.ts";
import type { StreamBounds } from "../../src/dependencies.ts";

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
  /** Whether the mechanisms can take claims; a test sets it. */
  readonly isUp: { all: boolean };
};

/** The whole HTTP edge on memory adapters; `issuers` replaces some of them. */
export async function openApp(
  t: TestContext,
  options: {
    readonly issuers?: Readonly<Record<string, CouponIssuer>>;
    readonly logLevel?: string;
    readonly identity?: Identity;
    readonly admit?: Admit;
    readonly feed?: ProgressFeed;
    readonly streamBounds?: StreamBounds;
    readonly random?: () => number;
    readonly corsOrigins?: ReadonlySet<string>;
    readonly keepAliveMs?: number;
  } = {},
): Promise<TestApp> {
  const clock = { nowMs: Date.parse("2026-12-01T00:00:00.000Z") };
  const lines: string[] = [];
  const sale = memorySale({
    nowMs: () => clock.nowMs,
    drawCode: () => codeFromRandom(randomBytes(26)),
  });
  const metrics = makeMetrics({
    mechanisms: memoryMechanisms.map(({ name }) => name),
    batches: [],
  });
  const isUp = { all: true };
  let draining = false;
  const app = await buildApp(
    {
      store: sale.store,
      mechanisms: new Map(
        [...sale.mechanisms].map(([name, { facts, issuer }]) => [
          name,
          { facts, issuer: options.issuers?.[name] ?? issuer, available: () => isUp.all },
        ]),
      ),
      feed: options.feed ?? sale.feed,
      findMechanism: sale.findMechanism,
      identity: options.identity ?? devIdentity(ADMIN_TOKEN),
      admit: options.admit ?? null,
      metrics,
      engines: () => ({ postgres: "up", redis: "up", kafka: "off" }),
      isDraining: () => draining,
      takesClaims: true,
      nowMs: () => clock.nowMs,
      monotonicMs: () => performance.now(),
      random: options.random ?? (() => 0.5),
      corsOrigins: options.corsOrigins ?? new Set(),
      keepAliveMs: options.keepAliveMs ?? 65_000,
      ...(options.streamBounds === undefined ? {} : { streamBounds: options.streamBounds }),
    },
    pino({ level: options.logLevel ?? "info" }, { write: (line) => lines.push(line) }),
  );
  t.after(async () => app.close());
  const drain = (): void => {
    draining = true;
  };
  return { app, sale, metrics, lines, clock, drain, isUp };
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

export const VERSION = Object.fromEntries(
  memoryMechanisms.map(({ name, version }) => [name, version]),
);

export async function claim(
  { app }: TestApp,
  eventId: string,
  userId: string,
  version = "v1",
): Promise<LightMyRequestResponse> {
  const headers = { "x-user-id": userId };
  return app.inject({ method: "POST", url: `/${version}/events/${eventId}/issues`, headers });
}
