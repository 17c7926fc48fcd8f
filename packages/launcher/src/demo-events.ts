import { fieldsOf } from "./private-file.ts";

const limit = 100;
/** Five tickets a second, so that a line can be seen by somebody who clicks. */
const pace = 5;
const answerMsMax = 15_000;

type Server = { readonly url: string; readonly adminToken: string };
type Report = (line: string) => void;
type ToldMechanism = {
  readonly name: string;
  readonly title: string;
  readonly needs: readonly string[];
  readonly available: boolean;
};

/**
 * Makes one event per mechanism in a service that has none. Where an engine of it is away the event is
 * left out; whatever else goes wrong is one line, since the service itself is up.
 */
export async function makeDemoEvents(
  server: Server,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  try {
    const events = await listOf(server, "/events?limit=1&all=true", signal);
    if (events.length > 0) return;
    for (const told of await listOf(server, "/mechanisms", signal)) {
      await makeOne(server, mechanismOf(told), report, signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    report(`No demo events: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

async function makeOne(
  server: Server,
  { name, title, needs, available }: ToldMechanism,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const id = `demo-${name}`;
  if (!available) {
    report(`The demo event ${id} is left out: ${needs.join(" or ")} does not run.`);
    return;
  }
  const event = { id, name: title, mechanism: name, limit };
  // Only where people queue may an event have a pace; elsewhere it is refused, and made without one.
  let status = await statusOfMaking(server, { ...event, pace }, signal);
  if (status === 400) status = await statusOfMaking(server, event, signal);
  if (status !== 201 && status !== 409) {
    report(`The demo event ${id} was refused with ${status}.`);
  }
}

async function statusOfMaking(
  { url, adminToken }: Server,
  event: object,
  signal: AbortSignal,
): Promise<number> {
  const headers = { authorization: `Bearer ${adminToken}`, "content-type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify(event) };
  const answer = await send(`${url}/events`, request, signal);
  await answer.body?.cancel();
  return answer.status;
}

/** The one list in what this path answers. */
async function listOf(
  { url }: Server,
  path: string,
  signal: AbortSignal,
): Promise<readonly unknown[]> {
  const answer = await send(url + path, {}, signal);
  const list = Object.values(fieldsOf(await answer.json())).find((value) => Array.isArray(value));
  if (answer.status !== 200 || list === undefined) {
    throw new Error(`GET ${path} answered ${answer.status}`);
  }
  return list;
}

function mechanismOf(told: unknown): ToldMechanism {
  const { name, title, needs, available } = fieldsOf(told);
  return {
    name: String(name),
    title: String(title),
    needs: Array.isArray(needs) ? needs.map(String) : [],
    available: available === true,
  };
}

function send(url: string, request: RequestInit, signal: AbortSignal): Promise<Response> {
  return fetch(url, {
    ...request,
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)]),
  });
}
