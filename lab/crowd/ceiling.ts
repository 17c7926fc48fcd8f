// The empty handler: what the same HTTP stack can answer when nothing is decided at all. It runs as
// a process of its own, like the server it is compared with, and ends with the process that made it.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import fastify from "fastify";

/** A running ceiling. */
export type Ceiling = {
  readonly url: string;
  readonly pid: number | null;
  readonly close: () => Promise<void>;
};

/** The one event that the empty handler knows, and where it takes claims. */
export const ceilingEventId = "ceiling-00000000";
export const ceilingClaimPath = `/v1/events/${ceilingEventId}/issues`;

/** The service's own: Node's default of 511 overflows when ten thousand connect at once. */
const listenBacklog = 4_096;
const readyMsMax = 60_000;

/**
 * Starts the empty handler in its own process. `nodeFlags` are those of the server that it is
 * compared with: the same heap, or the difference would be the collector's.
 */
export async function startCeiling(nodeFlags: readonly string[] = []): Promise<Ceiling> {
  const child = fork(fileURLToPath(import.meta.url), ["serve"], {
    execArgv: [...nodeFlags],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const close = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  try {
    const signal = AbortSignal.timeout(readyMsMax);
    const [url]: unknown[] = await once(child, "message", { signal });
    if (typeof url !== "string") throw new Error("it did not tell its address");
    return { url, pid: child.pid ?? null, close };
  } catch (cause) {
    await close();
    throw new Error("The empty handler did not start; its output is above.", { cause });
  }
}

async function serve(): Promise<void> {
  // The service's time limits: checking thousands of connections for them costs time too.
  const app = fastify({
    http: { headersTimeout: 30_000, connectionsCheckingInterval: 1_000 },
    requestTimeout: 40_000,
  });
  const text = { type: "string" };
  const issue = {
    eventId: text,
    status: text,
    seq: { type: "integer" },
    code: text,
    issuedAt: text,
  };
  const schema = { response: { 201: { type: "object", properties: issue } } };
  app.get("/healthz", () => ({ status: "up" }));
  // The same framework, settings, path, fields and serialiser as the service; it just decides nothing.
  app.post<{ Params: { id: string } }>(
    "/v1/events/:id/issues",
    { schema },
    async (request, reply) => {
      const { id } = request.params;
      reply.code(201).header("location", `/events/${id}/issues/me`);
      return {
        eventId: id,
        status: "issued",
        seq: 100,
        code: "0123456789ABCDEFGHJKMNPQRS",
        issuedAt: "2026-01-01T00:00:00.000Z",
      };
    },
  );
  const url = await app.listen({ host: "127.0.0.1", port: 0, backlog: listenBacklog });
  process.once("disconnect", () => process.exit());
  process.send?.(url);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] === "serve")
  await serve();
