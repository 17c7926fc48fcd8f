import { mechanisms, type Mechanism } from "./history.ts";

const answerMsMax = 30_000;

/** A mechanism's engine as `/readyz` tells it. */
export type EngineState = "up" | "down" | "off";

/** Creates the event that one run is about. Its topic or key exists when this resolves. */
export async function createEvent(
  shop: { readonly url: string; readonly adminToken: string },
  event: {
    readonly id: string;
    readonly mechanism: Mechanism;
    readonly limit: number;
    /** v3 only: tickets decided per second. */
    readonly pace?: number;
  },
): Promise<void> {
  const { version } = mechanisms[event.mechanism];
  const answer = await ask(`${shop.url}/events`, {
    method: "POST",
    headers: { Authorization: `Bearer ${shop.adminToken}`, "Content-Type": "application/json" },
    body: JSON.stringify({ ...event, name: `Rush ${version}` }),
  });
  if (answer.status === 201) {
    await answer.arrayBuffer();
    return;
  }
  const said = (await answer.text()).slice(0, 500);
  const advice =
    answer.status === 401 || answer.status === 403
      ? "Set ADMIN_TOKEN to the token that this server was started with."
      : "Look at the server's log.";
  throw new Error(
    `POST ${shop.url}/events for ${event.mechanism} was answered ${answer.status}: ${said} ${advice}`,
  );
}

/** Which mechanisms can take claims now. */
export async function engineStates(url: string): Promise<Record<Mechanism, EngineState>> {
  const answer = await ask(`${url}/readyz`, {});
  const body: unknown = await answer.json();
  const engines = isRecord(body) && isRecord(body["engines"]) ? body["engines"] : {};
  const state = (mechanism: Mechanism): EngineState => {
    const said = engines[mechanisms[mechanism].engine];
    if (said === "up" || said === "down" || said === "off") return said;
    throw new Error(`${url}/readyz does not tell the state of ${mechanisms[mechanism].engine}.`);
  };
  return {
    "row-lock": state("row-lock"),
    "redis-counter": state("redis-counter"),
    "kafka-queue": state("kafka-queue"),
  };
}

/** Whether a server lives at this address. */
export async function isAlive(url: string): Promise<boolean> {
  try {
    return (await ask(`${url}/healthz`, {})).ok;
  } catch {
    // Nothing answers there: that is what was asked.
    return false;
  }
}

async function ask(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(answerMsMax) });
  } catch (cause) {
    throw new Error(`No answer from ${url}: is the server running there?`, { cause });
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
