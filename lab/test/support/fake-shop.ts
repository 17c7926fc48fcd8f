import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { TestContext } from "node:test";

import type { Shop, StoredRow } from "@stampede/lab";
import type { Mechanism } from "@stampede/lab/compare";

/** Mistakes that a service could make; the rush has to find each. */
export type Bug =
  | "oversells"
  | "undersells"
  | "tells issued without a row"
  | "tells another code"
  | "tells a winner sold out"
  | "gives a person two rows"
  | "passes a ticket over"
  | "answers 500"
  | "hangs up"
  | "stays silent"
  | "never decides"
  | "never sends the last frame";

type Sale = {
  readonly id: string;
  readonly mechanism: string;
  readonly limit: number;
  readonly rows: StoredRow[];
  readonly queue: string[];
  readonly streams: Set<ServerResponse>;
  readonly listed: boolean;
  pace: number | null;
  decided: number;
  claims: number;
};

const adminToken = "fake-shop-token";
const engines = { postgres: "up", redis: "up", kafka: "up" };
/** What it says that it has. */
export const fakeMechanisms: readonly Mechanism[] = [
  ["row-lock", "v1"],
  ["redis-counter", "v2"],
  ["kafka-queue", "v3"],
].map(([name = "", version = ""]) => {
  return { name, version, title: name, summary: `${name} in memory`, needs: [], available: true };
});
/** Which claim of an event goes wrong. */
const wrongClaim = 3;

/**
 * A service in one file and one process, honest but for the bug that it is given: the crowd, the
 * watchers and the verdict are tried on it without engines. It keeps to the HTTP contract alone.
 */
export async function fakeShop(t: TestContext, bug: Bug | null = null): Promise<Shop> {
  const sales = new Map<string, Sale>();
  const server = createServer((request, response) => {
    void handle(sales, bug, { request, response });
  });
  server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 });
  await once(server, "listening");
  const decider = setInterval(() => {
    for (const sale of sales.values()) decide(sale, bug);
  }, 10);
  t.after(async () => {
    clearInterval(decider);
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const readSale: Shop["readSale"] = async (eventId) => {
    const rows = sales.get(eventId)?.rows ?? [];
    return { issued: rows.length, rows };
  };
  return { url: `http://127.0.0.1:${address.port}`, adminToken, readSale };
}

type Call = { readonly request: IncomingMessage; readonly response: ServerResponse };

async function handle(sales: Map<string, Sale>, bug: Bug | null, call: Call): Promise<void> {
  const { request, response } = call;
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://fake");
  if (pathname === "/healthz") return send(response, 200, { status: "up" });
  if (pathname === "/readyz") return send(response, 200, { engines });
  if (pathname === "/mechanisms") return send(response, 200, { mechanisms: fakeMechanisms });
  if (pathname === "/events" && request.method === "POST") return create(sales, call);
  const [, id = "", rest = ""] = /events\/([^/]+)\/?(.*)$/.exec(pathname) ?? [];
  const sale = sales.get(id);
  if (sale === undefined) return problem(response, 404, "no-such-event");
  if (rest === "") return change(sale, call);
  if (rest === "stream") return stream(sale, response);
  const person = String(request.headers["x-user-id"]);
  if (rest === "issues/me")
    return status(sale, { person, ticket: searchParams.get("ticket") }, call);
  claim(sale, bug, { person, response });
}

async function create(sales: Map<string, Sale>, { request, response }: Call): Promise<void> {
  if (request.headers.authorization !== `Bearer ${adminToken}`) {
    return problem(response, 401, "unauthenticated");
  }
  const chunks = await request.toArray();
  const {
    id,
    mechanism,
    limit,
    pace = null,
    listed = true,
  } = JSON.parse(Buffer.concat(chunks).toString());
  const empty = { rows: [], queue: [], streams: new Set<ServerResponse>(), decided: 0, claims: 0 };
  sales.set(id, { id, mechanism, limit, pace, listed, ...empty });
  const version = fakeMechanisms.find(({ name }) => name === mechanism)?.version;
  send(response, 201, { id, mechanism, limit, claim: `/${version}/events/${id}/issues` });
}

/** The event with its tag; an operator who has the tag may change the pace. */
async function change(sale: Sale, { request, response }: Call): Promise<void> {
  if (request.method === "PATCH") {
    if (request.headers["if-match"] !== '"1"') return problem(response, 412, "stale-version");
    const chunks = await request.toArray();
    sale.pace = JSON.parse(Buffer.concat(chunks).toString()).pace;
  }
  response.setHeader("ETag", '"1"');
  send(response, 200, { id: sale.id, pace: sale.pace, listed: sale.listed });
}

function claim(
  sale: Sale,
  bug: Bug | null,
  { person, response }: { person: string; response: ServerResponse },
): void {
  const wrong = ++sale.claims === wrongClaim;
  if (wrong && bug === "answers 500") return problem(response, 500, "internal");
  if (wrong && bug === "hangs up") return void response.destroy();
  if (wrong && bug === "stays silent") return;
  const own = sale.rows.find(({ userId }) => userId === person);
  if (own !== undefined) {
    return send(response, 200, { eventId: sale.id, status: "issued", ...told(own) });
  }
  if (sale.mechanism === "kafka-queue") {
    if (sale.rows.length >= sale.limit) return problem(response, 409, "sold-out");
    const ticket = sale.queue.push(person) - 1;
    return send(response, 202, queued(sale, ticket));
  }
  const limit = sale.limit + (bug === "oversells" ? 1 : bug === "undersells" ? -1 : 0);
  if (sale.rows.length >= limit) return problem(response, 409, "sold-out");
  const row = issue(sale, person, null);
  if (wrong && bug === "tells issued without a row") sale.rows.pop();
  if (wrong && bug === "gives a person two rows") issue(sale, person, null);
  if (wrong && bug === "tells a winner sold out") return problem(response, 409, "sold-out");
  const code = wrong && bug === "tells another code" ? "OTHER" : row.code;
  send(response, 201, { eventId: sale.id, status: "issued", ...told(row), code });
  if (bug !== "never sends the last frame") broadcast(sale);
}

function issue(sale: Sale, userId: string, ticket: number | null): StoredRow {
  const code = randomBytes(13).toString("hex").toUpperCase();
  const row = {
    seq: sale.rows.length + 1,
    userId,
    code,
    issuedAt: new Date().toISOString(),
    ticket,
  };
  sale.rows.push(row);
  return row;
}

function told({ seq, code, issuedAt }: StoredRow): Pick<StoredRow, "seq" | "code" | "issuedAt"> {
  return { seq, code, issuedAt };
}

function decide(sale: Sale, bug: Bug | null): void {
  if (sale.mechanism !== "kafka-queue" || sale.decided === sale.queue.length) return;
  // Its line either rests or goes: any pace is slow enough to be none.
  if (bug === "never decides" || sale.pace !== null) return;
  for (; sale.decided < sale.queue.length; sale.decided++) {
    if (bug === "passes a ticket over" && sale.decided === wrongClaim) continue;
    const person = sale.queue[sale.decided];
    const first = sale.queue.indexOf(person ?? "") === sale.decided;
    if (person !== undefined && first && sale.rows.length < sale.limit) {
      issue(sale, person, sale.decided);
    }
  }
  broadcast(sale);
}

function queued(sale: Sale, ticket: number): Record<string, unknown> {
  const ahead = Math.max(0, ticket - sale.decided);
  const guaranteed = ticket < sale.limit;
  return { eventId: sale.id, status: "queued", ticket, ahead, guaranteed, estimate: null };
}

function status(
  sale: Sale,
  { person, ticket }: { person: string; ticket: string | null },
  { response }: Call,
): void {
  const eventId = sale.id;
  const row = sale.rows.find(({ userId }) => userId === person);
  if (row !== undefined) return send(response, 200, { eventId, status: "issued", ...told(row) });
  if (sale.rows.length >= sale.limit) return send(response, 200, { eventId, status: "sold-out" });
  if (ticket === null || Number(ticket) < sale.decided) {
    return send(response, 200, { eventId, status: "none" });
  }
  send(response, 200, queued(sale, Number(ticket)));
}

function stream(sale: Sale, response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  sale.streams.add(response);
  response.on("close", () => sale.streams.delete(response));
  response.write(`retry: 500\n\n${frame(sale)}`);
}

function broadcast(sale: Sale): void {
  for (const response of sale.streams) response.write(frame(sale));
}

function frame(sale: Sale): string {
  const isQueue = sale.mechanism === "kafka-queue";
  const issued = sale.rows.length;
  const soldOut = issued >= sale.limit;
  const data = {
    issued,
    remaining: sale.limit - issued,
    state: soldOut ? "sold-out" : "open",
    decided: isQueue ? sale.decided : null,
    perSecond: 0,
    lastWinningTicket: isQueue && soldOut ? (sale.rows.at(-1)?.ticket ?? null) : null,
  };
  return `id: ${issued + sale.decided}\nevent: progress\ndata: ${JSON.stringify(data)}\n\n`;
}

function problem(response: ServerResponse, status: number, name: string): void {
  const body = JSON.stringify({ type: `/problems/${name}`, title: name, status });
  response.writeHead(status, { "Content-Type": "application/problem+json" }).end(body);
}

function send(response: ServerResponse, status: number, body: Record<string, unknown>): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}
