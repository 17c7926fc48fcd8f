// What every answer carries, refusals too.
//
// Its `Date` is by the database's clock. The page counts down to an opening by it and keeps its button
// shut until then, so a wrong clock of this machine must not reach it (T1).
//
// Nobody may keep it for later, unless its route says otherwise: without a word, caches may keep a 404
// or a 410 for as long as they like.
import type { FastifyInstance } from "fastify";

const SECOND_MS = 1_000;

/** `nowMs`: epoch milliseconds. Before all other hooks, so that refusals carry it too. */
export function registerAnswerHeaders(app: FastifyInstance, nowMs: () => number): void {
  let second = Number.NaN;
  let text = "";
  app.addHook("onRequest", (_request, reply, done) => {
    const now = Math.floor(nowMs() / SECOND_MS);
    // Written once a second, as Node does with its own.
    if (now !== second) {
      second = now;
      text = new Date(now * SECOND_MS).toUTCString();
    }
    // Not on the response itself, where one header makes Node write all of them one by one.
    reply.header("date", text).header("cache-control", "no-store");
    done();
  });
}
