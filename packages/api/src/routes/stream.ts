import type { ServerResponse } from "node:http";
import type { Progress } from "@stampede/domain";
import { parseEventId } from "@stampede/domain";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Dependencies, StreamBounds } from "../dependencies.ts";
import { sendProblem } from "../errors.ts";
import { problemOf } from "../problems.ts";
import { progressFrame } from "../progress.ts";
import type { Frame } from "../progress.ts";
import { problemResponse } from "../schemas.ts";

export const STREAM_BOUNDS: StreamBounds = { streamsMax: 20_000, unreadBytesMax: 64 * 1024 };
const COMMENT_EVERY_MS = 15_000;
/** In so many parts: all at once would hold up whoever claims just then. */
const COMMENT_PARTS = 150;
const SCHEMA = {
  summary: "The progress of an event, as server-sent events",
  response: {
    200: {
      description: "text/event-stream",
      content: { "text/event-stream": { schema: {} } },
    },
    "4xx": problemResponse("refused"),
    503: problemResponse("too many watchers, or the event is not known and cannot be read"),
  },
};
const GONE = { kind: "no-such-event" } as const;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_SPREAD = 4_000;

/** Server-sent events: one frame shape for everybody who watches an event. */
export async function streamRoutes(
  app: FastifyInstance,
  dependencies: Dependencies,
): Promise<void> {
  const watchers = new Set<ServerResponse>();
  // Whose event is still looked up: they count too, or a crowd of one instant would pass the bound.
  let beingLookedUp = 0;
  const { feed, metrics, random } = dependencies;
  const { streamsMax, unreadBytesMax } = dependencies.streamBounds ?? STREAM_BOUNDS;
  const comment = inParts(watchers, COMMENT_PARTS, (response) =>
    write(response, ": still here\n\n", unreadBytesMax),
  );
  const timer = setInterval(comment, COMMENT_EVERY_MS / COMMENT_PARTS);
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
      config: { forShops: true },
      schema: SCHEMA,
    },
    async (request, reply) => {
      const eventId = parseEventId(request.params.id);
      if (eventId === null) return sendProblem(reply, problemOf(GONE));
      if (watchers.size + beingLookedUp >= streamsMax) {
        const detail = "Too many people watch already. Ask for your status instead.";
        return sendProblem(reply, problemOf({ kind: "unavailable", detail, retryAfterMs: 10_000 }));
      }
      const { raw: response } = reply;
      const inChunks = request.raw.httpVersion === "1.1";
      let started = false;
      const tell = (progress: Progress): void => {
        if (!started) {
          started = true;
          reply.hijack();
          start(response, reply, retryMs(random));
        }
        writeFrame(response, progressFrame(progress), { inChunks, unreadBytesMax });
      };
      beingLookedUp += 1;
      const stop = await feed.watch(eventId, tell).finally(() => {
        beingLookedUp -= 1;
      });
      if (stop === null) return sendProblem(reply, problemOf(GONE));
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

/** Each call takes the next part; who came or left meanwhile makes it a little longer or shorter. */
export function inParts<One>(
  all: ReadonlySet<One>,
  parts: number,
  take: (one: One) => void,
): () => void {
  let left = all.values();
  let [part, taken] = [0, 0];
  return () => {
    if (part === 0) [left, taken] = [all.values(), 0];
    const due = Math.ceil((all.size * (part + 1)) / parts);
    for (; taken < due; taken += 1) {
      const next = left.next();
      if (next.done === true) break;
      take(next.value);
    }
    part = (part + 1) % parts;
  };
}

/** Past the framework, so with the headers that it would have written. */
function start(response: ServerResponse, reply: FastifyReply, retry: number): void {
  const given = Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  response.writeHead(200, {
    ...Object.fromEntries(given),
    "content-type": "text/event-stream; charset=utf-8",
    // A proxy that compresses would hold the frames back.
    "cache-control": "no-store, no-transform",
    // So would one that buffers.
    "x-accel-buffering": "no",
  });
  response.write(`retry: ${retry}\n\n`);
}

function write(response: ServerResponse, frame: string | Buffer, unreadBytesMax: number): void {
  if (response.writableLength > unreadBytesMax) response.destroy();
  else if (!response.writableEnded) response.write(frame);
}

/**
 * In chunks it goes past the framework, which would frame the same bytes for each of ten thousand. Not
 * while that still holds something back, which has to come first.
 */
function writeFrame(
  response: ServerResponse,
  { text, chunk }: Frame,
  how: { readonly inChunks: boolean; readonly unreadBytesMax: number },
): void {
  const { socket, writableLength } = response;
  const isPassedOn = socket !== null && writableLength === socket.writableLength;
  if (!how.inChunks || !isPassedOn) write(response, text, how.unreadBytesMax);
  else if (writableLength > how.unreadBytesMax) response.destroy();
  else if (!response.writableEnded) socket.write(chunk);
}

function retryMs(random: () => number): number {
  return RETRY_MS_MIN + Math.floor(random() * RETRY_MS_SPREAD);
}
