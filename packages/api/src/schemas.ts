// The shapes on the wire: they validate what comes in, serialise what goes out, and are the OpenAPI.
import {
  CODE_PATTERN,
  COUPONS_MAX,
  EVENT_ID_PATTERN,
  MECHANISM_PATTERN,
  NAME_CHARACTERS_MAX,
  PACE_PER_SECOND_MAX,
  PAGE_SIZE_MAX,
} from "@stampede/domain";
import type { Static } from "typebox";
import { Type } from "typebox";

const ENGINES = ["postgres", "redis", "kafka"] as const;

const whole = (options: { minimum: number; maximum?: number; description?: string }) =>
  Type.Integer(options);
// A list of types, not a union of schemas: serialising a union validates every value against each.
const nullable = <Schema extends Type.TSchema & { readonly type: string }>(schema: Schema) =>
  Type.Unsafe<Static<Schema> | null>({ ...schema, type: [schema.type, "null"] });

const time = Type.String({ format: "date-time", maxLength: 40, description: "RFC 3339" });
const pace = nullable(whole({ minimum: 1, maximum: PACE_PER_SECOND_MAX }));
const limit = whole({ minimum: 1, maximum: COUPONS_MAX });
const name = Type.String({
  minLength: 1,
  maxLength: NAME_CHARACTERS_MAX,
  description: "something to read, without control characters",
});

export const EventSchema = Type.Object(
  {
    id: Type.String({ pattern: EVENT_ID_PATTERN }),
    name: Type.String(),
    mechanism: Type.String({ pattern: MECHANISM_PATTERN }),
    limit: whole({ minimum: 1 }),
    issued: whole({ minimum: 0, description: "durable coupon issues only" }),
    remaining: whole({ minimum: 0 }),
    state: Type.Union(
      ["scheduled", "open", "sold-out", "closed"].map((state) => Type.Literal(state)),
    ),
    paused: Type.Boolean(),
    opensAt: time,
    closesAt: nullable(time),
    pace,
    voided: Type.Optional(
      Type.Literal(true, { description: "ended for good by an operator; absent where it is not" }),
    ),
    version: whole({ minimum: 1 }),
    claim: Type.String({ description: "where this event takes claims" }),
    available: Type.Boolean({ description: "whether the mechanism can take claims now" }),
  },
  { title: "Event" },
);

export const EventListSchema = Type.Object({
  events: Type.Array(EventSchema),
  next: nullable(Type.String()),
});

export const NewEventSchema = Type.Object(
  {
    id: Type.Optional(Type.String({ pattern: EVENT_ID_PATTERN })),
    name,
    /** Narrowed to those that there are by the route. */
    mechanism: Type.String({ pattern: MECHANISM_PATTERN }),
    limit,
    opensAt: Type.Optional(time),
    closesAt: Type.Optional(nullable(time)),
    pace: Type.Optional(pace),
    listed: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false, title: "NewEvent" },
);
export type NewEventBody = Static<typeof NewEventSchema>;

export const EventChangeSchema = Type.Object(
  {
    name: Type.Optional(name),
    limit: Type.Optional(limit),
    opensAt: Type.Optional(time),
    closesAt: Type.Optional(nullable(time)),
    paused: Type.Optional(Type.Boolean()),
    pace: Type.Optional(pace),
    listed: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false, minProperties: 1, title: "EventChange" },
);
export type EventChangeBody = Static<typeof EventChangeSchema>;

const couponIssue = {
  eventId: Type.String(),
  status: Type.Literal("issued"),
  seq: whole({ minimum: 1 }),
  code: Type.String({ pattern: CODE_PATTERN }),
  issuedAt: time,
};
export const CouponIssueSchema = Type.Object(couponIssue, { title: "CouponIssue" });

export const TicketSchema = Type.Object(
  {
    eventId: Type.String(),
    status: Type.Literal("queued"),
    ticket: whole({ minimum: 0 }),
    ahead: whole({ minimum: 0 }),
    guaranteed: Type.Boolean(),
    estimate: nullable(
      Type.Object({ seconds: Type.Number(), low: Type.Number(), high: Type.Number() }),
    ),
  },
  { title: "Ticket" },
);

const outcome = (status: "pending" | "sold-out" | "voided" | "none") =>
  Type.Object({ eventId: Type.String(), status: Type.Literal(status) });
const StalledSchema = Type.Object({
  eventId: Type.String(),
  status: Type.Literal("stalled"),
  ticket: whole({ minimum: 0 }),
});
export const ClaimStatusSchema = Type.Union(
  [
    CouponIssueSchema,
    TicketSchema,
    outcome("pending"),
    StalledSchema,
    outcome("sold-out"),
    outcome("voided"),
    outcome("none"),
  ],
  { title: "ClaimStatus" },
);

export const IssueListSchema = Type.Object({
  issues: Type.Array(
    Type.Object({
      ...couponIssue,
      userId: Type.String(),
      ticket: Type.Optional(whole({ minimum: 0, description: "of a queued claim" })),
    }),
  ),
  next: nullable(Type.String()),
});

const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: "/problems/…, stable" }),
    title: Type.String(),
    status: whole({ minimum: 400, maximum: 599 }),
    detail: Type.String(),
    opensAt: Type.Optional(time),
    claim: Type.Optional(Type.String()),
    statusUrl: Type.Optional(Type.String()),
  },
  { title: "Problem", additionalProperties: true },
);

/** `content` of every error answer in the OpenAPI. */
export function problemResponse(description: string): Record<string, unknown> {
  return { description, content: { "application/problem+json": { schema: ProblemSchema } } };
}

const wholeNumberText = { pattern: "^\\d{1,16}$" };
export const PageQuerySchema = Type.Object({
  limit: Type.Optional(Type.String({ ...wholeNumberText, description: `1 to ${PAGE_SIZE_MAX}` })),
  cursor: Type.Optional(Type.String({ ...wholeNumberText, description: "`next` of a page" })),
});
export const EventListQuerySchema = Type.Object({
  ...PageQuerySchema.properties,
  all: Type.Optional(
    Type.Union([Type.Literal("true"), Type.Literal("false")], {
      description: "true: also events that the shop's list leaves out",
    }),
  ),
});
export const StatusQuerySchema = Type.Object({
  ticket: Type.Optional(Type.String({ ...wholeNumberText, description: "of a queued claim" })),
});

export const MechanismListSchema = Type.Object({
  mechanisms: Type.Array(
    Type.Object(
      {
        name: Type.String({ pattern: MECHANISM_PATTERN }),
        version: Type.String({ description: "the first part of its claims' path" }),
        title: Type.String(),
        summary: Type.String(),
        needs: Type.Array(Type.Union(ENGINES.map((name) => Type.Literal(name)))),
        available: Type.Boolean({ description: "whether it can take claims now" }),
      },
      { title: "Mechanism" },
    ),
  ),
});

const engine = Type.Union(["up", "down", "off"].map((state) => Type.Literal(state)));
export const ReadinessSchema = Type.Object({
  engines: Type.Object({ postgres: engine, redis: engine, kafka: engine }),
});
