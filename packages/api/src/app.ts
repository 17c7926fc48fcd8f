import Fastify, { LogController } from "fastify";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import { registerCors } from "./cors.ts";
import type { Dependencies } from "./dependencies.ts";
import { answerError, registerErrors } from "./errors.ts";
import { registerOpenApi } from "./openapi.ts";
import { registerOtherListeners } from "./listening.ts";
import { answerParserError, refuseBelowRoutes } from "./parser-errors.ts";
import { claimRoutes } from "./routes/claims.ts";
import { strictJson } from "./routes/form.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { mechanismRoutes } from "./routes/mechanisms.ts";
import { pageRoutes } from "./routes/page.ts";
import { streamRoutes } from "./routes/stream.ts";
import { registerAnswerHeaders } from "./answer-headers.ts";

/** Node counts it from the connect, and a crowd may stay silent for 30 s before its first request. */
const HEADERS_MS_MAX = 32_000;
const REQUEST_MS_MAX = 40_000;
const HEADER_BYTES_MAX = 16 * 1024;
const OPERATOR_BODY_BYTES_MAX = 16 * 1024;

/** Builds the server; it does not listen yet. */
export async function buildApp(
  dependencies: Dependencies,
  logger: FastifyBaseLogger,
): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    // A logger for each of ten thousand requests, nearly all of which log nothing, would be waste.
    childLoggerFactory: (parent) => parent,
    bodyLimit: OPERATOR_BODY_BYTES_MAX,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: dependencies.keepAliveMs,
    routerOptions: { maxParamLength: 8_192 },
    http: {
      headersTimeout: HEADERS_MS_MAX,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: HEADER_BYTES_MAX,
      // Judged by our own hook, which answers a problem; Node's answer has no body.
      requireHostHeader: false,
    },
    // Our own forms, not Ajv's kindness: a string is no number, and an unknown field is an error.
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        allowUnionTypes: true,
      },
      // It stands in the description; what is wrong with a time is told by the route.
      onCreate: (ajv) => void ajv.addFormat("date-time", true),
    },
    clientErrorHandler: answerParserError,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
  });
  registerAnswerHeaders(app, dependencies.nowMs);
  const answerPreflight = registerCors(app, dependencies.corsOrigins);
  registerErrors(app, dependencies.isDraining);
  refuseBelowRoutes(app.server);
  registerOtherListeners(app);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, strictJson(app));
  await registerOpenApi(app, dependencies.identity);
  await app.register(healthRoutes, dependencies);
  if (!dependencies.takesClaims) return app;
  await app.register(claimRoutes, dependencies);
  await app.register(eventRoutes, dependencies);
  await app.register(mechanismRoutes, dependencies);
  await app.register(streamRoutes, dependencies);
  answerPreflight();
  await app.register(pageRoutes, dependencies);
  return app;
}
