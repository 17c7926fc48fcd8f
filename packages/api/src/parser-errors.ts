// What never becomes a request of ours: Node's parser refuses it, hangs up (CONNECT) or has an answer
// of its own without a problem (Expect). Answered on the bare socket, then closed.
//
// Never in place of an answer that somebody still waits for. On a connection that carries a claim and,
// behind it, bytes that are no request, the claim is decided all the same: a 400 at once would be read
// as its answer, and would say that nothing was applied.
import { STATUS_CODES } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { problemOf, PROBLEM_JSON } from "./problems.ts";
import type { EdgeRefusal, Problem } from "./problems.ts";

/** The newest request of a connection, and the answer before it where that is not sent yet. */
type Latest = { readonly response: ServerResponse; readonly before: ServerResponse | null };

const latest = new WeakMap<Duplex, Latest>();
const refused = new WeakSet<Duplex>();

/** Where no address is named that might take more of them, or fewer. */
const METHODS = "GET, HEAD, PATCH, POST";
/** The last words have to get through before the connection is cut. */
const LINGER_MS_MAX = 2_000;

export function refuseBelowRoutes(server: Server): void {
  server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
    const before = latest.get(socket)?.response;
    const waits = before !== undefined && !before.writableFinished;
    latest.set(socket, { response, before: waits ? before : null });
  });
  server.on("connect", (_request: IncomingMessage, socket: Duplex) => {
    refuseInTurn(socket, { kind: "method-not-allowed", allow: METHODS });
  });
  server.on("checkExpectation", (_request: IncomingMessage, response: ServerResponse) => {
    const { status, body } = problemOf({ kind: "expectation-failed" });
    // Closed after it: whoever expected something else may not send the body that was announced.
    const text = Buffer.from(JSON.stringify(body));
    response.writeHead(status, {
      "content-type": PROBLEM_JSON,
      "content-length": text.length,
      connection: "close",
    });
    response.end(text);
  });
}

export function answerParserError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
  else refuseInTurn(socket, refusalOfParserError(error.code));
}

/** Answers once, behind whatever this connection is still owed. */
function refuseInTurn(socket: Duplex, refusal: EdgeRefusal): void {
  // The parser complains again of whatever comes behind the first mistake.
  if (refused.has(socket)) return;
  refused.add(socket);
  const problem = problemOf(refusal);
  const last = latest.get(socket);
  if (last === undefined) return answerOnSocket(socket, problem);
  const { response, before } = last;
  // The newest request itself is the bad one as long as its end was not seen.
  const isOfNext = response.req.complete;
  if (!response.writableFinished && response.headersSent) {
    // A stream, or somebody who does not read: a second answer would stand in the middle of the first.
    socket.destroy();
  } else if (isOfNext && !response.writableFinished) {
    response.once("close", () => answerOnSocket(socket, problem));
  } else if (!isOfNext && response.writableFinished) {
    // It was refused before its body was read, and told so.
    hangUp(socket, "");
  } else if (!isOfNext && before !== null && !before.writableFinished) {
    before.once("close", () => answerOnSocket(socket, problem));
  } else {
    answerOnSocket(socket, problem);
  }
}

function answerOnSocket(socket: Duplex, { status, headers, body }: Problem): void {
  if (!socket.writable) return;
  const text = JSON.stringify(body);
  const members = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  hangUp(
    socket,
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nContent-Type: ${PROBLEM_JSON}\r\n` +
      `${members.join("")}Content-Length: ${Buffer.byteLength(text)}\r\n` +
      `Connection: close\r\n\r\n${text}`,
  );
}

/** Whoever keeps their side open all the same is not waited for: a shutdown would wait as well. */
function hangUp(socket: Duplex, lastWords: string): void {
  socket.end(lastWords);
  const cut = setTimeout(() => socket.destroy(), LINGER_MS_MAX).unref();
  socket.once("close", () => clearTimeout(cut));
}

function refusalOfParserError(code: string | undefined): EdgeRefusal {
  if (code === "HPE_HEADER_OVERFLOW") return { kind: "headers-too-large" };
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return { kind: "request-timeout" };
  return { kind: "invalid-request", detail: "This is not an HTTP/1.1 request." };
}
