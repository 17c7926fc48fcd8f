import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { Dependencies } from "../dependencies.ts";
import { ReadinessSchema } from "../schemas.ts";

/** What machines ask: liveness, readiness, metrics, the description of the API. */
export async function healthRoutes(
  app: FastifyInstance,
  dependencies: Dependencies,
): Promise<void> {
  const { engines, identity, mechanisms, metrics, takesClaims } = dependencies;
  const isReady = (): boolean =>
    (identity.isReady() || !takesClaims) &&
    [...mechanisms.values()].some(({ available }) => available());
  app.get(
    "/healthz",
    {
      schema: {
        summary: "Whether the process lives",
        response: { 200: Type.Object({ status: Type.Literal("ok") }) },
      },
    },
    async () => ({ status: "ok" }),
  );
  app.get(
    "/readyz",
    {
      schema: {
        summary: "Whether any mechanism can take claims",
        response: { 200: ReadinessSchema, 503: ReadinessSchema },
      },
    },
    async (_request, reply) => reply.code(isReady() ? 200 : 503).send({ engines: engines() }),
  );
  app.get("/metrics", { schema: { summary: "Prometheus metrics" } }, async (_request, reply) =>
    reply.header("content-type", metrics.registry.contentType).send(await metrics.read()),
  );
  app.get("/openapi.json", { schema: { summary: "This description" } }, async () => app.swagger());
}
