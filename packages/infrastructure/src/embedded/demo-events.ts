import { engineTitles } from "./engine.ts";
import { fieldsOf } from "./private-file.ts";

const limit = 100;

// The queue decides five tickets a second, so that a line can be seen by somebody who clicks.
const demoEvents = [
  { id: "demo-row-lock", name: "Row lock", mechanism: "row-lock", limit },
  { id: "demo-redis-counter", name: "Redis counter", mechanism: "redis-counter", limit },
  { id: "demo-kafka-queue", name: "Kafka queue", mechanism: "kafka-queue", limit, pace: 5 },
] as const;

const enginesOff = {
  "row-lock": "postgres",
  "redis-counter": "redis",
  "kafka-queue": "kafka",
} as const;

const answerMsMax = 15_000;

/**
 * Makes one event per mechanism in a service that has none. An event whose engine is off is left
 * out; whatever else goes wrong is one line, since the service itself is up.
 */
export async function makeDemoEvents(
  server: { readonly url: string; readonly adminToken: string },
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  try {
    const list = await send(`${server.url}/events?limit=1`, {}, signal);
    const { events } = fieldsOf(await list.json());
    if (list.status !== 200 || !Array.isArray(events)) {
      report(`No demo events: GET /events answered ${list.status}.`);
      return;
    }
    if (events.length > 0) return;
    for (const event of demoEvents) {
      const headers = {
        authorization: `Bearer ${server.adminToken}`,
        "content-type": "application/json",
      };
      const request = { method: "POST", headers, body: JSON.stringify(event) };
      const answer = await send(`${server.url}/events`, request, signal);
      await answer.body?.cancel();
      if (answer.status === 503) {
        const engine = engineTitles[enginesOff[event.mechanism]];
        report(`The demo event ${event.id} is left out: ${engine} is not there.`);
      } else if (answer.status !== 201 && answer.status !== 409) {
        report(`The demo event ${event.id} was refused with ${answer.status}.`);
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    report(`No demo events: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

function send(url: string, request: RequestInit, signal: AbortSignal): Promise<Response> {
  return fetch(url, {
    ...request,
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)]),
  });
}
