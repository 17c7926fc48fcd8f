import fastifySwagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import type { Identity } from "./identity.ts";

// What @fastify/swagger adds to Fastify's types: its own declarations cannot find Fastify under linked
// installs, where a package sees only what it depends on.
declare module "fastify" {
  interface FastifySchema {
    /** Left out of the document. */
    readonly hide?: boolean;
    readonly summary?: string;
    readonly description?: string;
    readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  }
  interface FastifyInstance {
    /** The OpenAPI document of all routes; complete once the server is ready. */
    swagger(): Record<string, unknown>;
  }
}

/** Collects the schemas of all routes that are registered after it into one OpenAPI 3.1 document. */
export async function registerOpenApi(app: FastifyInstance, { schemes }: Identity): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Stampede",
        version: "1.0.0",
        description:
          "Limited coupons, first come, first served, by mechanisms that GET /mechanisms tells.",
      },
      components: {
        securitySchemes: schemes,
      },
    },
  });
}
