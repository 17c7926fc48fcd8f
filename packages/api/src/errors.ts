// How the edge says no: one hook, one error handler, and one for addresses that do not exist. What never
// becomes a request is in parser-errors.ts.
import type { IncomingMessage } from "node:http";
import { EngineFault } from "@stampede/domain";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { BadBody } from "./routes/form.ts";
import { problemOf, problemOfBug, problemOfFault, PROBLEM_JSON } from "./problems.ts";
import type { EdgeRefusal, Problem, Refusal } from "./problems.ts";

const URL_BYTES_MAX = 8_192;
const HEADER_LINES_MAX = 100;

const texts = new WeakMap<Problem, string>();

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  // Sent as text: the members differ, and a serialiser for each would gain nothing. A problem that is
  // one constant object is written once.
  let text = texts.get(problem);
  if (text === undefined) {
    text = JSON.stringify(problem.body);
    texts.set(problem, text);
  }
  return reply
    .code(problem.status)
    .headers(problem.headers)
    .header("content-type", PROBLEM_JSON)
    .send(text);
}

/** What the log says of a refusal: the route's own pattern, never what the caller sent. */
export function logged(request: FastifyRequest, refusal: Refusal): Record<string, unknown> {
  const why = "why" in refusal ? { why: refusal.why } : {};
  return { problem: refusal.kind, ...why, url: request.routeOptions.url };
}

export function registerErrors(app: FastifyInstance, isDraining: () => boolean): void {
  const routes: { readonly method: string; readonly path: RegExp }[] = [];
  app.addHook("onRoute", (route) => {
    const path = new RegExp(`^${route.url.replace(/:\w+/g, "[^/]+").replace("*", ".*")}$`);
    for (const method of [route.method].flat()) routes.push({ method, path });
  });

  app.addHook("onRequest", (request, reply, done) => {
    const refusal = refuseEarly(request, isDraining());
    if (refusal === null) return done();
    if (refusal.kind === "unavailable") reply.header("connection", "close");
    sendProblem(reply, problemOf(refusal));
    return undefined;
  });

  app.setNotFoundHandler((request, reply) => {
    // Also in the form that is sent to proxies, which the router takes as well.
    const [path = ""] = request.url.replace(/^https?:\/\/[^/?#]*/i, "").split("?", 1);
    const methods = routes.filter((route) => route.path.test(path)).map((route) => route.method);
    const refusal: EdgeRefusal =
      methods.length === 0
        ? { kind: "not-found" }
        : { kind: "method-not-allowed", allow: [...new Set(methods)].sort().join(", ") };
    return sendProblem(reply, problemOf(refusal));
  });

  app.setErrorHandler<FastifyError>((error, request, reply) => answerError(error, request, reply));
}

/** Also for addresses that the router cannot decode: its own answer repeats them. */
export function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  return sendProblem(reply, problemOfError(error, request));
}

function refuseEarly({ raw }: FastifyRequest, draining: boolean): EdgeRefusal | null {
  if (draining) {
    const detail = "This process is stopping. Nothing has changed; try again.";
    return { kind: "unavailable", detail, retryAfterMs: 1_000 };
  }
  // Node's parser takes a request line with HTTP/0.9 and with HTTP/2.0, too.
  if (raw.httpVersionMajor !== 1) return { kind: "invalid-request", detail: "Speak HTTP/1.1." };
  const coding = raw.headers["transfer-encoding"];
  // Node undoes the chunks alone: `gzip, chunked` would be read as if it were plain. HTTP/1.0 has no
  // codings, so a proxy that speaks it may see another end of the request than we do.
  if (coding !== undefined && (coding.toLowerCase() !== "chunked" || raw.httpVersionMinor === 0)) {
    return { kind: "invalid-request", detail: "The only transfer coding is chunked." };
  }
  if (raw.url === "*" && raw.method !== "OPTIONS") {
    return { kind: "invalid-request", detail: "The address must begin with a slash." };
  }
  const wrongLine = wrongHeaderLine(raw);
  if (wrongLine !== null) return { kind: "invalid-request", detail: wrongLine };
  if ((raw.url?.length ?? 0) > URL_BYTES_MAX) return { kind: "uri-too-long" };
  if (raw.rawHeaders.length > HEADER_LINES_MAX * 2) return { kind: "headers-too-large" };
  return null;
}

const HOST = /^[\w.~!$&'()*+,;=:%[\]-]*$/;

/**
 * Of a header that may stand once Node keeps the first line: whoever reads the last one (a proxy, for
 * instance) would see another body. Two Authorizations are the identity's to refuse.
 */
function wrongHeaderLine({
  rawHeaders,
  headers,
  httpVersionMinor,
}: IncomingMessage): string | null {
  let [hosts, types] = [0, 0];
  for (let line = 0; line < rawHeaders.length; line += 2) {
    const name = rawHeaders[line]?.toLowerCase();
    if (name === "host") hosts += 1;
    else if (name === "content-type") types += 1;
  }
  if (httpVersionMinor > 0 && hosts !== 1) return "Send one Host header.";
  if (!HOST.test(headers.host ?? "")) return "Host is no name or address.";
  return types > 1 ? "Send one Content-Type header." : null;
}

function problemOfError(error: FastifyError, request: FastifyRequest): Problem {
  if (error instanceof EngineFault) {
    request.log.warn({ engine: error.engine, outcome: error.outcome }, error.message);
    return problemOfFault(error, null);
  }
  const refusal = refusalOfError(error);
  if (refusal !== null) {
    request.log.info(logged(request, refusal), "the request was refused");
    return problemOf(refusal);
  }
  request.log.error(
    { err: error, requestId: request.id },
    "a bug of the server failed this request",
  );
  return problemOfBug(request.id);
}

/** In words, where the schema's own would tell of types and patterns. */
const WRONG_IN_BODY: Readonly<Record<string, string>> = {
  additionalProperties: "has an unknown field",
};
const WRONG_IN_QUERY: Readonly<Record<string, string>> = {
  type: "is given more than once",
  pattern: "must be a whole number of at most 16 digits",
};

/** What the framework refuses for us, by its stable codes; null for anything else, which is a bug. */
function refusalOfError(error: FastifyError): EdgeRefusal | null {
  if (error.validation !== undefined) {
    const { instancePath = "", message = "is wrong", keyword = "" } = error.validation[0] ?? {};
    const context = error.validationContext ?? "request";
    // Never the content: an unknown field's name is the caller's own text.
    const what = (context === "querystring" ? WRONG_IN_QUERY : WRONG_IN_BODY)[keyword] ?? message;
    return { kind: "invalid-request", detail: `${context}${instancePath} ${what}` };
  }
  if (error.code === "FST_ERR_BAD_URL") {
    const detail = "The address has a percent sign that stands for no text.";
    return { kind: "invalid-request", detail };
  }
  if (error.code === "FST_ERR_CTP_BODY_TOO_LARGE") return { kind: "payload-too-large" };
  if (error.code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") return { kind: "unsupported-media-type" };
  if (error instanceof BadBody) return { kind: "invalid-request", detail: error.message };
  if (error.statusCode === 400) {
    return { kind: "invalid-request", detail: "The request is not well formed." };
  }
  return error.statusCode === 415 ? { kind: "unsupported-media-type" } : null;
}
