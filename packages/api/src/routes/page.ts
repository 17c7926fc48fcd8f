import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fastifyHelmet from "@fastify/helmet";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Dependencies } from "../dependencies.ts";

const PUBLIC_FOLDER = join(import.meta.dirname, "../../../../web/public");
// From where this package finds it: a deployment image holds no other copy, the page none at all.
const CHARTS_FOLDER = dirname(fileURLToPath(import.meta.resolve("uplot/dist/uPlot.esm.js")));
/** What the live desk loads: the package brings other builds, too. */
const CHARTS = ["uPlot.esm.js", "uPlot.min.css"];
/** What a shop's own page loads from here. */
const FOR_SHOPS = new Set(["/embed.js", "/embed-words.js"]);

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

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
  // Told by an attribute to ask for a token and not for a name that anybody may choose.
  const index = async (): Promise<string> => {
    const html = await readFile(join(PUBLIC_FOLDER, "index.html"), "utf8");
    return identity.kind === "jwt" ? html.replace("<html ", '<html data-auth="jwt" ') : html;
  };
  fileRoute(app, "/", { type: ".html", read: index });
  fileRoute(app, "/index.html", { type: ".html", read: index });
  for (const name of readdirSync(PUBLIC_FOLDER)) {
    if (name !== "index.html") fileRoute(app, `/${name}`, fileIn(PUBLIC_FOLDER, name));
  }
  for (const name of CHARTS) fileRoute(app, `/vendor/uplot/${name}`, fileIn(CHARTS_FOLDER, name));
}

type File = { readonly type: string; readonly read: () => Promise<Buffer | string> };

export function fileIn(folder: string, name: string): File {
  return { type: extname(name), read: () => readFile(join(folder, name)) };
}

/**
 * Kept by browsers, and used only after asking whether it still is the same: there is no build, so a
 * module's address says nothing of its version, and old and new ones must never meet in a page. By a
 * digest of what is in it, since images and packages give files of all versions one date
 * (@fastify/static knows size and date alone). Read anew each time: whoever edits it sees it.
 */
export function fileRoute(app: FastifyInstance, url: string, { type, read }: File): void {
  const isForShops = FOR_SHOPS.has(url);
  app.get(url, { schema: { hide: true } }, async (request, reply) => {
    const content = await read();
    const tag = `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"`;
    reply.header("cache-control", "no-cache").header("etag", tag);
    if (isForShops) {
      reply.header("access-control-allow-origin", "*");
      reply.header("cross-origin-resource-policy", "cross-origin");
    }
    if (isKnown(request, tag)) return reply.code(304).send();
    return reply.type(TYPES[type] ?? "application/octet-stream").send(content);
  });
}

/** A proxy that compresses makes a tag weak, which is the same to this question. */
function isKnown({ headers }: FastifyRequest, tag: string): boolean {
  const known = (headers["if-none-match"] ?? "").split(",").map((one) => one.trim());
  return known.some((one) => one === "*" || one === tag || one === `W/${tag}`);
}
