// Pages of other origins: a shop's own, which CORS_ORIGINS names. They may read an event, claim, ask what
// became of it and watch; a route says so of itself by `forShops`. Operators' routes never do, so that no
// page of a shop can be made to act for an operator who looks at it.
//
// By hand and not by @fastify/cors: that opens an instance with all its routes, and here one address takes
// both (GET and PATCH of an event); and its headers come after the refusals of a process that stops.
import type { FastifyInstance } from "fastify";
import { sendProblem } from "./errors.ts";
import { problemOf } from "./problems.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Whether pages of CORS_ORIGINS may use this route. */
    readonly forShops?: true;
  }
}

/** Who a page speaks for, and where its stream was cut. */
const ALLOWED_HEADERS = "Authorization, Content-Type, Last-Event-ID, X-User-Id";
/** What a page needs of an answer beyond its body: when to ask again, where, and the server's clock. */
const EXPOSED_HEADERS = "Date, ETag, Location, Retry-After, WWW-Authenticate";
/** Chromium remembers a preflight for so long at most. */
const PREFLIGHT_SECONDS = "7200";

/** Before whatever refuses, so that a shop's page can read refusals too. Call the result after all routes. */
export function registerCors(app: FastifyInstance, origins: ReadonlySet<string>): () => void {
  if (origins.size === 0) return () => undefined;
  const methods = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method, config }) => {
    if (config?.forShops !== true) return;
    methods.set(url, new Set([...(methods.get(url) ?? []), ...[method].flat()]));
  });
  app.addHook("onRequest", ({ headers: { origin }, routeOptions }, reply, done) => {
    if (routeOptions.config.forShops === true) {
      // Also where nobody asked by an origin: a cache must not give that answer to a page.
      reply.header("vary", "Origin");
      if (origin !== undefined && origins.has(origin)) {
        reply.header("access-control-allow-origin", origin);
        reply.header("access-control-expose-headers", EXPOSED_HEADERS);
      }
    }
    done();
  });
  return () => {
    for (const [url, taken] of methods) preflightRoute(app, { url, methods: [...taken] });
  };
}

function preflightRoute(
  app: FastifyInstance,
  { url, methods }: { readonly url: string; readonly methods: readonly string[] },
): void {
  const allowed = [...methods, "OPTIONS"].sort().join(", ");
  app.options(url, { schema: { hide: true }, config: { forShops: true } }, (_request, reply) => {
    if (reply.hasHeader("access-control-allow-origin")) {
      reply
        .code(204)
        .headers({
          allow: allowed,
          "access-control-allow-methods": allowed,
          "access-control-allow-headers": ALLOWED_HEADERS,
          "access-control-max-age": PREFLIGHT_SECONDS,
        })
        .send();
      return;
    }
    const detail = "Pages of this origin may not ask: the operator names theirs in CORS_ORIGINS.";
    sendProblem(reply, problemOf({ kind: "forbidden", detail }));
  });
}

/** Of CORS_ORIGINS, exactly as browsers send them. Faults name an entry by its place, never its text. */
export function readOrigins(text: string | null, faults: string[]): ReadonlySet<string> {
  const entries = text === null ? [] : text.split(",").map((entry) => entry.trim());
  for (const [index, entry] of entries.entries()) {
    const fault = faultOfOrigin(entry);
    if (fault !== null) faults.push(`CORS_ORIGINS, entry ${index + 1}: ${fault}`);
  }
  return new Set(entries);
}

function faultOfOrigin(entry: string): string | null {
  if (entry.includes("*")) return "name each origin, for * would let pages of strangers claim";
  if (entry === "null") return "null is the origin of any sandboxed page or file: name a real one";
  const url = URL.canParse(entry) ? new URL(entry) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    return "an origin is a scheme, a host and perhaps a port, such as https://shop.example";
  }
  return url.origin === entry ? null : `browsers send it as ${url.origin}, so write that`;
}
