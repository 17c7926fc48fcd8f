import { randomBytes } from "node:crypto";
import type { EventChange, EventId, EventReading, NewEvent, Result } from "@stampede/domain";
import { changeEvent, createEvent, ok, parseEventId, refuse, voidEvent } from "@stampede/domain";
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from "fastify";
import { Type } from "typebox";
import type { Dependencies } from "../dependencies.ts";
import { logged, sendProblem } from "../errors.ts";
import { problemOf } from "../problems.ts";
import { recentPages } from "../recent-pages.ts";
import type { RecentPages } from "../recent-pages.ts";
import type { EdgeRefusal, Refusal } from "../problems.ts";
import {
  EventChangeSchema,
  EventListQuerySchema,
  EventListSchema,
  EventSchema,
  IssueListSchema,
  NewEventSchema,
  PageQuerySchema,
  problemResponse,
} from "../schemas.ts";
import type { EventChangeBody, NewEventBody } from "../schemas.ts";
import { eventOnWire, listedIssueOnWire } from "../wire.ts";
import { invalid, isNothing, pageRequest, timeMs, versionOfTag } from "./form.ts";

type ById = { Params: { id: string } };
type NoSuchEvent = { readonly kind: "no-such-event" };
type Paged = { Querystring: { limit?: string; cursor?: string } };
type Listed = { Querystring: Paged["Querystring"] & { all?: "true" | "false" } };

const problems = { "4xx": problemResponse("refused"), "5xx": problemResponse("failed") };
const ISSUES_PAGE_SIZE = 100;

/** Events: read by anyone, made and changed by an operator. */
export async function eventRoutes(app: FastifyInstance, dependencies: Dependencies): Promise<void> {
  const pages = recentPages(dependencies.monotonicMs);
  readingRoutes(app, dependencies, pages);
  createRoute(app, dependencies, pages);
  changeRoute(app, dependencies, pages);
  voidRoute(app, dependencies, pages);
  issuesRoute(app, dependencies);
}

function readingRoutes(app: FastifyInstance, dependencies: Dependencies, pages: RecentPages): void {
  const { store } = dependencies;
  app.get<Listed>(
    "/events",
    {
      schema: {
        summary: "Events, newest first",
        querystring: EventListQuerySchema,
        response: { 200: EventListSchema, ...problems },
      },
    },
    async (request, reply) => {
      const page = pageRequest(request.query);
      if (!page.ok) return send(reply, page.refusal);
      const wanted = { ...page.value, all: request.query.all === "true" };
      const text = await pages.of(JSON.stringify(wanted), async () => {
        const listed = await store.list(wanted);
        if (!listed.ok) return listed;
        const { entries, next, nowMs } = listed.value;
        const events = entries.map((event) => body(dependencies, { event, nowMs }));
        return ok(reply.serialize({ events, next }));
      });
      if (!text.ok) return send(reply, text.refusal);
      reply.type("application/json; charset=utf-8");
      return reply.send(text.value);
    },
  );
  app.get<ById>(
    "/events/:id",
    {
      config: { forShops: true },
      schema: {
        summary: "One event",
        response: { 200: EventSchema, ...problems },
      },
    },
    async (request, reply) => {
      const id = parseEventId(request.params.id);
      const reading = id === null ? null : await store.find(id);
      if (reading === null) return send(reply, { kind: "no-such-event" });
      return sendEvent(reply, dependencies, reading);
    },
  );
}

const NEW_EVENT = { additionalProperties: false, title: "NewEvent" };

function createRoute(app: FastifyInstance, dependencies: Dependencies, pages: RecentPages): void {
  const mechanism = Type.Union(
    [...dependencies.mechanisms.keys()].map((name) => Type.Literal(name)),
  );
  app.post<{ Body: NewEventBody }>(
    "/events",
    {
      schema: {
        summary: "Make an event",
        security: [{ operator: [] }],
        body: Type.Object({ ...NewEventSchema.properties, mechanism }, NEW_EVENT),
        response: { 201: EventSchema, ...problems },
      },
      onRequest: refuseNonOperators(dependencies),
    },
    async (request, reply) => {
      const wanted = newEventOf(request.body);
      if (!wanted.ok) return send(reply, wanted.refusal);
      const created = await createEvent(dependencies, wanted.value).finally(pages.forget);
      if (!created.ok) return send(reply, created.refusal, wanted.value.id);
      reply.code(201).header("location", `/events/${wanted.value.id}`);
      return sendEvent(reply, dependencies, created.value);
    },
  );
}

function changeRoute(app: FastifyInstance, dependencies: Dependencies, pages: RecentPages): void {
  app.patch<ById & { Body: EventChangeBody }>(
    "/events/:id",
    {
      schema: {
        summary: "Change an event that still is at the version of If-Match",
        security: [{ operator: [] }],
        body: EventChangeSchema,
        response: { 200: EventSchema, ...problems },
      },
      onRequest: refuseNonOperators(dependencies),
    },
    async (request, reply) => {
      const change = changeOf(request.body);
      if (!change.ok) return send(reply, change.refusal);
      const at = addressed(request);
      if (!at.ok) return send(reply, at.refusal);
      const wanted = { ...at.value, change: change.value };
      const changed = await changeEvent(dependencies, wanted).finally(pages.forget);
      if (!changed.ok) return send(reply, changed.refusal, wanted.id);
      return sendEvent(reply, dependencies, changed.value);
    },
  );
}

function voidRoute(app: FastifyInstance, dependencies: Dependencies, pages: RecentPages): void {
  app.post<ById>(
    "/events/:id/void",
    {
      schema: {
        summary: "End an event whose line is halted: who has no coupon gets none",
        security: [{ operator: [] }],
        response: { 200: EventSchema, ...problems },
      },
      onRequest: refuseNonOperators(dependencies),
    },
    async (request, reply) => {
      if (!isNothing(request.body)) return send(reply, invalid("The body must be empty or {}."));
      const at = addressed(request);
      if (!at.ok) return send(reply, at.refusal);
      const voided = await voidEvent(dependencies, at.value).finally(pages.forget);
      if (!voided.ok) return send(reply, voided.refusal, at.value.id);
      return sendEvent(reply, dependencies, voided.value);
    },
  );
}

/** The event that is named, and the version of it that the operator has seen. */
function addressed(
  request: FastifyRequest<ById>,
): Result<{ readonly id: EventId; readonly version: number }, EdgeRefusal | NoSuchEvent> {
  const id = parseEventId(request.params.id);
  if (id === null) return refuse({ kind: "no-such-event" });
  const tag = request.headers["if-match"];
  if (tag === undefined) return refuse({ kind: "precondition-required" });
  const version = versionOfTag(tag);
  return version.ok ? ok({ id, version: version.value }) : version;
}

function issuesRoute(app: FastifyInstance, dependencies: Dependencies): void {
  const { store } = dependencies;
  app.get<ById & Paged>(
    "/events/:id/issues",
    {
      schema: {
        summary: "The coupon issues of an event, by seq",
        security: [{ operator: [] }],
        querystring: PageQuerySchema,
        response: { 200: IssueListSchema, ...problems },
      },
      onRequest: refuseNonOperators(dependencies),
    },
    async (request, reply) => {
      const page = pageRequest(request.query, ISSUES_PAGE_SIZE);
      if (!page.ok) return send(reply, page.refusal);
      const id = parseEventId(request.params.id);
      if (id === null || (await store.find(id)) === null) {
        return send(reply, { kind: "no-such-event" });
      }
      const listed = await store.issues(id, page.value);
      if (!listed.ok) return send(reply, listed.refusal);
      const { entries, next } = listed.value;
      return reply.send({ issues: entries.map(listedIssueOnWire), next });
    },
  );
}

function newEventOf(wanted: NewEventBody): Result<NewEvent, EdgeRefusal> {
  const id = wanted.id === undefined ? madeUpId() : parseEventId(wanted.id);
  if (id === null) return refuse(invalid("id is not a valid event id"));
  const opensAtMs = timeMs("opensAt", wanted.opensAt);
  if (!opensAtMs.ok) return opensAtMs;
  const closesAtMs = timeMs("closesAt", wanted.closesAt ?? null);
  if (!closesAtMs.ok) return closesAtMs;
  return ok({
    id,
    name: wanted.name,
    mechanism: wanted.mechanism,
    limit: wanted.limit,
    opensAtMs: opensAtMs.value ?? null,
    closesAtMs: closesAtMs.value,
    pace: wanted.pace ?? null,
    listed: wanted.listed ?? true,
  });
}

function changeOf(wanted: EventChangeBody): Result<EventChange, EdgeRefusal> {
  const { opensAt, closesAt, ...others } = wanted;
  const opensAtMs = timeMs("opensAt", opensAt);
  if (!opensAtMs.ok) return opensAtMs;
  const closesAtMs = timeMs("closesAt", closesAt);
  if (!closesAtMs.ok) return closesAtMs;
  return ok({
    ...others,
    ...(opensAtMs.value === undefined ? {} : { opensAtMs: opensAtMs.value }),
    ...(closesAtMs.value === undefined ? {} : { closesAtMs: closesAtMs.value }),
  });
}

function madeUpId(): EventId | null {
  return parseEventId(`event-${randomBytes(8).toString("hex")}`);
}

function refuseNonOperators({ identity }: Dependencies): onRequestHookHandler {
  return (request, reply, done) => {
    const go = (operator: Result<"operator", EdgeRefusal>): void => {
      if (!operator.ok) send(reply, operator.refusal);
      else if (request.headers["content-encoding"] === undefined) done();
      else send(reply, { kind: "unsupported-media-type" });
    };
    const operator = identity.operator(request.raw);
    if (operator instanceof Promise) operator.then(go, done);
    else go(operator);
  };
}

function send(reply: FastifyReply, refusal: Refusal, eventId: EventId | null = null): FastifyReply {
  reply.request.log.info(logged(reply.request, refusal), "the request was refused");
  return sendProblem(reply, problemOf(refusal, eventId));
}

function sendEvent(
  reply: FastifyReply,
  dependencies: Dependencies,
  reading: EventReading,
): FastifyReply {
  return reply.header("etag", `"${reading.event.version}"`).send(body(dependencies, reading));
}

function body(
  { mechanisms }: Dependencies,
  { event, nowMs }: EventReading,
): Record<string, unknown> {
  const mechanism = mechanisms.get(event.mechanism);
  return eventOnWire(event, {
    nowMs,
    version: mechanism?.facts.version ?? null,
    available: mechanism?.issuer.available(event.id) ?? false,
  });
}
