import type { ServerResponse } from "node:http";
import type { Progress } from "@stampede/domain";
import { parseEventId } from "@stampede/domain";
import type { FastifyInstance } from "fastify";
import type { Dependencies } from "../app.ts";
import { sendProblem } from "../errors.ts";
import { problemOf } from "../problems.ts";
import { progressFrame } from "../progress.ts";
import { problemResponse } from "../schemas.ts";

/** What the streams of one process may cost. */
export type StreamBounds = {
  /** One more watcher is turned away. */
  readonly streamsMax: number;
  /** A watcher that has not read this much is dropped; it finds its place again by reconnecting. */
  readonly unreadBytesMax: number;
};

export const STREAM_BOUNDS: StreamBounds = { streamsMax: 20_000, unreadBytesMax: 64 * 1024 };
const COMMENT_EVERY_MS = 15_000;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_SPREAD = 4_000;

/** Server-sent events: one frame shape for everybody who watches an event. */
export async function streamRoutes(
  app: FastifyInstance,
  dependencies: Dependencies,
): Promise<void> {
  const watchers = new Set<ServerResponse>();
  // Whose event is still looked up: they count too, or a crowd of one instant would pass the bound.
  let opening = 0;
  const { feed, metrics, random } = dependencies;
  const { streamsMax, unreadBytesMax } = dependencies.streamBounds ?? STREAM_BOUNDS;
  const timer = setInterval(() => {
    for (const response of watchers) write(response, ": still here\n\n", unreadBytesMax);
  }, COMMENT_EVERY_MS);
  timer.unref();
  // A shutdown ends the streams first, so that the server can close; `retry:` spreads the return.
  app.addHook("preClose", (done) => {
    clearInterval(timer);
    for (const response of watchers) response.end(`retry: ${retryMs(random)}\n\n`);
    done();
  });

  app.get<{ Params: { id: string } }>(
    "/events/:id/stream",
    {
      exposeHeadRoute: false,
      schema: {
        summary: "The progress of an event, as server-sent events",
        response: {
          200: {
            description: "text/event-stream",
            content: { "text/event-stream": { schema: {} } },
          },
          "4xx": problemResponse("refused"),
          503: problemResponse("too many watchers, or the event is not known and cannot be read"),
        },
      },
    },
    async (request, reply) => {
      const eventId = parseEventId(request.params.id);
      if (eventId === null) return sendProblem(reply, problemOf({ kind: "no-such-event" }));
      if (watchers.size + opening >= streamsMax) {
        const detail = "Too many watch already. Ask for your status instead.";
        return sendProblem(reply, problemOf({ kind: "unavailable", detail, retryAfterMs: 10_000 }));
      }
      const response = reply.raw;
      let started = false;
      const tell = (progress: Progress): void => {
        if (!started) {
          started = true;
          reply.hijack();
          start(response, String(reply.getHeader("date")), retryMs(random));
        }
        write(response, progressFrame(progress), unreadBytesMax);
      };
      opening += 1;
      const stop = await feed.watch(eventId, tell).finally(() => {
        opening -= 1;
      });
      if (stop === null) return sendProblem(reply, problemOf({ kind: "no-such-event" }));
      watchers.add(response);
      metrics.streams.inc();
      const end = (): void => {
        if (!watchers.delete(response)) return;
        metrics.streams.dec();
        stop();
      };
      response.once("close", end);
      if (response.destroyed) end();
      return reply;
    },
  );
}

/** Past the framework, so with the date that it would have written. */
function start(response: ServerResponse, date: string, retry: number): void {
  response.writeHead(200, {
    date,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    // Proxies that buffer would hold the frames back.
    "x-accel-buffering": "no",
  });
  response.write(`retry: ${retry}\n\n`);
}

function write(response: ServerResponse, frame: string | Buffer, unreadBytesMax: number): void {
  if (response.writableLength > unreadBytesMax) response.destroy();
  else if (!response.writableEnded) response.write(frame);
}

function retryMs(random: () => number): number {
  return RETRY_MS_MIN + Math.floor(random() * RETRY_MS_SPREAD);
}
