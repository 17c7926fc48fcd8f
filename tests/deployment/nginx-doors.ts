// Processes of the service behind nginx that do what a test says, and who claims through it.
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Cleanup } from "./processes.ts";

export type Door = {
  readonly address: string;
  /** Who claimed here, in order. */
  readonly people: readonly string[];
  readonly requests: readonly IncomingMessage[];
  readonly connections: () => number;
};

/** A process of the service that does what the test says. */
export async function door(t: Cleanup, listener: RequestListener): Promise<Door> {
  const requests: IncomingMessage[] = [];
  const people: string[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    requests.push(request);
    people.push(String(request.headers["x-user-id"]));
    request.resume().once("end", () => listener(request, response));
  });
  server.on("connection", () => (connections += 1));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, people, requests, connections: () => connections };
}

export function issue(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(201, { "content-type": "application/json" }).end('{"status":"issued"}');
}

export async function claim(url: string, person: string, version = "v1"): Promise<Response> {
  return fetch(`${url}/${version}/events/spring/issues`, {
    method: "POST",
    headers: { "x-user-id": person },
    signal: AbortSignal.timeout(10_000),
  });
}
