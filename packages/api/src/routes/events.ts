import { randomBytes } from "node:crypto";
import type { EventChange, EventId, EventReading, NewEvent, Result } from "@stampede/domain";
import { changeEvent, createEvent, ok, parseEventId, refuse } from "@stampede/domain";
import type { FastifyInstance, FastifyReply, onRequestHookHandler } from "fastify";
import type { Dependencies } from "../app.ts";
import { logged, sendProblem } from "../errors.ts";
import { problemOf } from "../problems.ts";
import type { EdgeRefusal, Refusal } from "../problems.ts";
import {
  EventChangeSchema,
  EventListSchema,
  EventSchema,
  IssueListSchema,
  NewEventSchema,
  PageQuerySchema,
  problemResponse,
} from "../schemas.ts";
import type { EventChangeBody, NewEventBody } from "../schemas.ts";
import { eventOnWire, listedIssueOnWire } from "../wire.ts";
import { invalid, pageRequest, timeMs, versionOfTag } from "./form.ts";

type ById = { Params: { id: string } };
type Paged = { Querystring: { limit?: string; cursor?: string } };

const problems = { "4xx": problemResponse("refused"), "5xx": problemResponse("failed") };
const ISSUES_PAGE_SIZE = 100;

/** Events: read by anyone, made and changed by an operator. */
export async function eventRoutes(app: FastifyInstance, dependencies: Dependencies): Promise<void> {
  readingRoutes(app, dependencies);
  createRoute(app, dependencies);
  changeRoute(app, dependencies);
  issuesRoute(app, dependencies);
}

function readingRoutes(app: FastifyInstance, dependencies: Dependencies): void {
  const { store } = dependencies;
  app.get<Paged>(
    "/events",
    {
      schema: {
        summary: "Events, newest first",
        querystring: PageQuerySchema,
        response: { 200: EventListSchema, ...problems },
      },
    },
    async (request, reply) => {
      const page = pageRequest(request.query);
      if (!page.ok) return send(reply, page.refusal);
      const listed = await store.list(page.value);
      if (!listed.ok) return send(reply, listed.refusal);
      const { entries, next, nowMs } = listed.value;
      const events = entries.map((event) => body(dependencies, { event, nowMs }));
      return reply.header("cache-control", "no-store").send({ events, next });
    },
  );
  app.get<ById>(
    "/events/:id",
    {
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

function createRoute(app: FastifyInstance, dependencies: Dependencies): void {
  app.post<{ Body: NewEventBody }>(
    "/events",
    {
      schema: {
        summary: "Make an event",
        security: [{ operator: [] }],
        body: NewEventSchema,
        response: { 201: EventSchema, ...problems },
      },
      onRequest: refuseNonOperators(dependencies),
    },
    async (request, reply) => {
      const wanted = newEventOf(request.body);
      if (!wanted.ok) return send(reply, wanted.refusal);
      const created = await createEvent(dependencies.store, wanted.value);
      if (!created.ok) return send(reply, created.refusal, wanted.value.id);
      reply.code(201).header("location", `/events/${wanted.value.id}`);
      return sendEvent(reply, dependencies, created.value);
    },
  );
}

function changeRoute(app: FastifyInstance, dependencies: Dependencies): void {
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
      const id = parseEventId(request.params.id);
      if (id === null) return send(reply, { kind: "no-such-event" });
      const tag = request.headers["if-match"];
      if (tag === undefined) return send(reply, { kind: "precondition-required" });
      const version = versionOfTag(tag) ?? 0;
      const changed = await changeEvent(dependencies.store, { id, version, change: change.value });
      if (!changed.ok) return send(reply, changed.refusal, id);
      return sendEvent(reply, dependencies, changed.value);
    },
  );
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
      reply.header("cache-control", "no-store");
      return reply.send({ issues: entries.map(listedIssueOnWire), next });
    },
  );
}

function newEventOf(wanted: NewEventBody): Result<NewEvent, EdgeRefusal> {
  const id = wanted.id === undefined ? madeUpId() : parseEventId(wanted.id);
  if (id === null) return refuse(invalid("id is not one"));
  if (!wanted.name.isWellFormed()) return refuse(invalid("name has half a character"));
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
  });
}

function changeOf(wanted: EventChangeBody): Result<EventChange, EdgeRefusal> {
  const { opensAt, closesAt, ...others } = wanted;
  if (others.name?.isWellFormed() === false) return refuse(invalid("name has half a character"));
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
  reply.request.log.info(logged(reply.request, refusal), "refused");
  return sendProblem(reply, problemOf(refusal, eventId));
}

function sendEvent(
  reply: FastifyReply,
  dependencies: Dependencies,
  reading: EventReading,
): FastifyReply {
  return reply
    .header("etag", `"${reading.event.version}"`)
    .header("cache-control", "no-store")
    .send(body(dependencies, reading));
}

function body({ issuers }: Dependencies, { event, nowMs }: EventReading): Record<string, unknown> {
  return eventOnWire(event, { nowMs, available: issuers[event.mechanism].available(event.id) });
}
