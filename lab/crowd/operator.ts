const answerMsMax = 30_000;

/** Who may operate a server. */
type Operator = { readonly url: string; readonly adminToken: string };

/** An event that one run is about. */
export type NewEvent = {
  readonly id: string;
  /** By its name. */
  readonly mechanism: string;
  readonly limit: number;
  /** A queue's tickets per second. Left out: as fast as possible. */
  readonly pace?: number;
};

/** Creates an event and gives the path of its claims. Its topic or key exists when this resolves. */
export async function createEvent(shop: Operator, event: NewEvent): Promise<string> {
  const answer = await ask(`${shop.url}/events`, {
    method: "POST",
    headers: headersOf(shop),
    // People who look at the shop's list have nothing to buy here.
    body: JSON.stringify({ ...event, name: `Crowd on ${event.mechanism}`, listed: false }),
  });
  if (answer.status !== 201) {
    await refuse(answer, `POST ${shop.url}/events for ${event.mechanism}`);
  }
  const body: unknown = await answer.json();
  const path = typeof body === "object" && body !== null && "claim" in body ? body.claim : null;
  if (typeof path === "string") return path;
  throw new Error(`POST ${shop.url}/events does not tell the path of the event's claims.`);
}

/** Lets a line that rests go on as fast as it can. */
export async function releaseQueue(shop: Operator, eventId: string): Promise<void> {
  const url = `${shop.url}/events/${eventId}`;
  const seen = await ask(url, {});
  await seen.arrayBuffer();
  const answer = await ask(url, {
    method: "PATCH",
    headers: { ...headersOf(shop), "If-Match": seen.headers.get("etag") ?? "" },
    body: JSON.stringify({ pace: null }),
  });
  if (!answer.ok) await refuse(answer, `PATCH ${url}`);
  await answer.arrayBuffer();
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

export async function ask(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(answerMsMax) });
  } catch (cause) {
    throw new Error(`No answer from ${url}: is the server running there?`, { cause });
  }
}

function headersOf({ adminToken }: Operator): Record<string, string> {
  return { Authorization: `Bearer ${adminToken}`, "Content-Type": "application/json" };
}

async function refuse(answer: Response, what: string): Promise<never> {
  const said = (await answer.text()).slice(0, 500);
  const advice =
    answer.status === 401 || answer.status === 403
      ? "Set ADMIN_TOKEN to the token that this server was started with."
      : "Look at the server's log.";
  throw new Error(`${what} was answered ${answer.status}: ${said} ${advice}`);
}
