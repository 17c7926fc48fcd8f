import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fastifyHelmet from "@fastify/helmet";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";
import type { Dependencies } from "../dependencies.ts";

const PUBLIC_FOLDER = join(import.meta.dirname, "../../../../web/public");
// From where this package finds it: a deployment image holds no other copy, the page none at all.
const CHARTS_FOLDER = dirname(fileURLToPath(import.meta.resolve("uplot/dist/uPlot.esm.js")));
/** All but what the live desk loads: the package brings other builds, too. */
const CHARTS_UNUSED = "!(uPlot.esm.js|uPlot.min.css)";

/** The pages: static files, nothing from elsewhere, no inline script or style, no framing. */
export async function pageRoutes(
  app: FastifyInstance,
  { identity }: Pick<Dependencies, "identity">,
): Promise<void> {
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
    globIgnore: identity.kind === "jwt" ? ["index.html"] : [],
    wildcard: false,
    cacheControl: false,
    schemaHide: true,
  });
  await app.register(fastifyStatic, {
    root: CHARTS_FOLDER,
    prefix: "/vendor/uplot/",
    globIgnore: [CHARTS_UNUSED],
    wildcard: false,
    cacheControl: false,
    decorateReply: false,
    schemaHide: true,
  });
  if (identity.kind === "jwt") await tokenPage(app);
}

/** The same page, told by an attribute to ask for a token and not for a name that anybody may choose. */
async function tokenPage(app: FastifyInstance): Promise<void> {
  const html = await readFile(join(PUBLIC_FOLDER, "index.html"), "utf8");
  const marked = html.replace("<html ", '<html data-auth="jwt" ');
  for (const url of ["/", "/index.html"]) {
    app.get(url, { schema: { hide: true } }, async (_request, reply) =>
      reply.type("text/html; charset=utf-8").send(marked),
    );
  }
}
