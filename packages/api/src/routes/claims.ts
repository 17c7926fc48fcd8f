import type {
  Claimed,
  ClaimStatus,
  EventId,
  MechanismFacts,
  Result,
  UserId,
} from "@stampede/domain";
import { claimCoupon, claimStatus, EngineFault, invariant, parseEventId } from "@stampede/domain";
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from "fastify";
import type { Dependencies } from "../dependencies.ts";
import { logged, sendProblem } from "../errors.ts";
import { outcomeOf } from "../metrics.ts";
import type { ClaimOutcome } from "../metrics.ts";
import { claimPath, problemOf, problemOfFault, statusPath } from "../problems.ts";
import type { EdgeRefusal, Refusal } from "../problems.ts";
import {
  ClaimStatusSchema,
  CouponIssueSchema,
  problemResponse,
  StatusQuerySchema,
  TicketSchema,
} from "../schemas.ts";
import { couponIssueOnWire, statusOnWire, ticketOnWire } from "../wire.ts";
import { refuseClaimBody, wholeNumber } from "./form.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who is calling, on the routes for persons. */
    userId: UserId | null;
  }
}

const CLAIM_BODY_BYTES_MAX = 1_024;
const POLL_SECONDS_MAX = 10;

/** The claim, one route for each mechanism, and the question what became of it. */
export async function claimRoutes(app: FastifyInstance, dependencies: Dependencies): Promise<void> {
  // A claim says nothing in its body, so load tools may send an empty one of any type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.decorateRequest("userId", null);
  for (const { facts } of dependencies.mechanisms.values()) claimRoute(app, dependencies, facts);
  statusRoute(app, dependencies);
}

function claimRoute(app: FastifyInstance, dependencies: Dependencies, facts: MechanismFacts): void {
  const mechanism = facts.name;
  const { metrics, monotonicMs } = dependencies;

  app.post<{ Params: { id: string } }>(
    claimPath(facts.version, ":id"),
    {
      config: { forShops: true },
      bodyLimit: CLAIM_BODY_BYTES_MAX,
      schema: claimSchema(facts),
      onRequest: [refuseStrangers(dependencies), forgetTypeOfNothing],
    },
    // Not an async function: for each of ten thousand claims at one instant that would be 700 bytes of
    // promises, which the collector copies while people wait.
    (request, reply) => {
      const arrivedMs = monotonicMs();
      const { userId } = request;
      invariant(userId !== null, "strangers are refused before");
      const form = refuseClaimBody(request);
      const eventId = parseEventId(request.params.id);
      if (form !== null || eventId === null) {
        answerRefusal(request, reply, form ?? { kind: "no-such-event" }, null);
        return;
      }
      const counted = (outcome: ClaimOutcome): void =>
        metrics.claimAnswered(mechanism, outcome, (monotonicMs() - arrivedMs) / 1_000);
      claimCoupon(dependencies, { eventId, userId, mechanism })
        .then((claimed) => {
          if (claimed.ok) sendClaimed(reply, eventId, claimed.value);
          else sendProblem(reply, problemOf(claimed.refusal, eventId));
          return counted(outcomeOf(claimed));
        })
        .catch((error: unknown) => counted(sendFailure(request, reply, eventId, error)));
    },
  );
}

/** Answers what an engine or a bug did to a claim; a bug is the error handler's to tell. */
function sendFailure(
  request: FastifyRequest,
  reply: FastifyReply,
  eventId: EventId,
  error: unknown,
): ClaimOutcome {
  if (!(error instanceof EngineFault)) {
    reply.send(error);
    return "error";
  }
  const outcome = error.outcome === "unknown" ? "outcome-unknown" : "unavailable";
  request.log.warn({ engine: error.engine, eventId, outcome }, error.message);
  sendProblem(reply, problemOfFault(error, statusPath(eventId)));
  return outcome;
}

/** Who is calling, and how often, is judged before the form of the request is. */
function refuseStrangers({ identity, admit }: Dependencies): onRequestHookHandler {
  return (request, reply, done) => {
    const person = identity.person(request.raw);
    if (person instanceof Promise) {
      const enter = (told: Result<UserId, EdgeRefusal>): void => {
        if (enters(request, reply, told, admit)) done();
      };
      person.then(enter, done);
      // No closure where there is no promise: it would be one more for each of ten thousand.
    } else if (enters(request, reply, person, admit)) {
      done();
    }
  };
}

/** Notes who it is; where nobody may pass, it has answered. */
function enters(
  request: FastifyRequest,
  reply: FastifyReply,
  person: Result<UserId, EdgeRefusal>,
  admit: Dependencies["admit"],
): boolean {
  if (!person.ok) {
    answerRefusal(request, reply, person.refusal, null);
    return false;
  }
  const retryAfterMs = admit === null ? 0 : admit(person.value, request.ip);
  if (retryAfterMs > 0) {
    answerRefusal(request, reply, { kind: "too-many-requests", retryAfterMs }, null);
    return false;
  }
  request.userId = person.value;
  return true;
}

/** Nothing passes whatever its type is called; the framework refuses a type that is none. */
const forgetTypeOfNothing: onRequestHookHandler = ({ headers }, _reply, done) => {
  const length = headers["content-length"] ?? "0";
  if (length === "0" && headers["transfer-encoding"] === undefined) delete headers["content-type"];
  done();
};

function sendClaimed(reply: FastifyReply, eventId: EventId, claimed: Claimed): FastifyReply {
  if (claimed.kind === "queued") {
    const { ticket } = claimed;
    return reply
      .code(202)
      .header("location", `${statusPath(eventId)}?ticket=${ticket.ticket}`)
      .header("retry-after", pollSeconds(ticket.estimate?.seconds ?? 1))
      .send(ticketOnWire(ticket));
  }
  if (claimed.kind === "issued") reply.code(201).header("location", statusPath(eventId));
  return reply.send(couponIssueOnWire(claimed.couponIssue));
}

function statusRoute(app: FastifyInstance, dependencies: Dependencies): void {
  app.get<{ Params: { id: string }; Querystring: { ticket?: string } }>(
    statusPath(":id"),
    {
      config: { forShops: true },
      schema: {
        summary: "What became of my claim",
        security: [{ person: [] }],
        querystring: StatusQuerySchema,
        response: {
          200: ClaimStatusSchema,
          "4xx": problemResponse("refused"),
          "5xx": problemResponse("failed"),
        },
      },
      onRequest: refuseStrangers(dependencies),
    },
    async (request, reply) => {
      const { userId } = request;
      invariant(userId !== null, "strangers are refused before");
      const ticket = wholeNumber("ticket", request.query.ticket);
      if (!ticket.ok) return answerRefusal(request, reply, ticket.refusal, null);
      const eventId = parseEventId(request.params.id);
      if (eventId === null) return answerRefusal(request, reply, { kind: "no-such-event" }, null);
      const question = { eventId, userId, ticket: ticket.value };
      const status = await claimStatus(dependencies, question);
      if (!status.ok) return answerRefusal(request, reply, status.refusal, eventId);
      const retryAfter = retryAfterOf(status.value);
      if (retryAfter !== null) reply.header("retry-after", retryAfter);
      return reply.send(statusOnWire(eventId, status.value));
    },
  );
}

function answerRefusal(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: Refusal,
  eventId: EventId | null,
): FastifyReply {
  request.log.debug(logged(request, refusal), "the request was refused");
  return sendProblem(reply, problemOf(refusal, eventId));
}

/** Null: what was told is final, or nothing is under way. */
function retryAfterOf(status: ClaimStatus): string | null {
  if (status.kind === "queued") return pollSeconds(status.ticket.estimate?.seconds ?? 1);
  if (status.kind === "stalled") return String(POLL_SECONDS_MAX);
  return status.kind === "pending" ? "1" : null;
}

/** A person near the front asks every second, one far behind every ten. */
function pollSeconds(seconds: number): string {
  return String(Math.min(POLL_SECONDS_MAX, Math.max(1, Math.floor(seconds / 2))));
}

function claimSchema({ name, queues }: MechanismFacts): Record<string, unknown> {
  return {
    summary: `Claim a coupon (${name})`,
    description: "Needs no body. Repeating it is safe: the person is the idempotency key.",
    security: [{ person: [] }],
    response: {
      200: CouponIssueSchema,
      201: CouponIssueSchema,
      ...(queues ? { 202: TicketSchema } : {}),
      "4xx": problemResponse("refused: nothing changed"),
      503: problemResponse("unavailable (not applied) or outcome-unknown (perhaps applied)"),
    },
  };
}
