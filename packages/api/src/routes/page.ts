import { join } from "node:path";
import fastifyHelmet from "@fastify/helmet";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";

const PUBLIC_FOLDER = join(import.meta.dirname, "../../../../web/public");

/** The page: static files, nothing from elsewhere, no inline script or style, no framing. */
export async function pageRoutes(app: FastifyInstance): Promise<void> {
  await app.register(fastifyHelmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // The service itself speaks HTTP; who puts TLS in front of it sets this there.
    strictTransportSecurity: false,
    xFrameOptions: { action: "deny" },
  });
  await app.register(fastifyStatic, {
    root: PUBLIC_FOLDER,
    wildcard: false,
    cacheControl: false,
    schemaHide: true,
  });
}
