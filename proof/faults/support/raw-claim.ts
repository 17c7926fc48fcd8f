// Claims on sockets of one's own, for connections that the lab's crowd would not put up with: some never
// open, some are closed by the service before they were heard.
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { TestContext } from "node:test";
import { attemptOf, readAnswer } from "@stampede/lab";
import type { Attempt } from "@stampede/lab";
import type { Sale } from "./sale.ts";

const ANSWER_MS_MAX = 20_000;

/** Begins to connect. That it breaks is what these tests are about; the claim on it tells it. */
export function openRaw(t: Pick<TestContext, "after">, { target }: Sale): Socket {
  const socket = connect(target.port, target.address);
  socket.on("error", () => undefined);
  t.after(() => socket.destroy());
  return socket;
}

/** Sends the claim and waits for its answer, or for the end of the connection. */
export async function claimOn(socket: Socket, sale: Sale, person: string): Promise<Attempt> {
  const { claimPath, target } = sale;
  const sentMs = performance.now();
  if (socket.readyState !== "open") return withoutAnswer(sale, person, { sentMs, fault: "unsent" });
  const head = `POST ${claimPath} HTTP/1.1\r\nHost: ${target.authority}\r\nX-User-Id: ${person}\r\n`;
  socket.write(`${head}Content-Length: 0\r\n\r\n`);
  const timer = setTimeout(() => socket.destroy(), ANSWER_MS_MAX);
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const answer = readAnswer(received);
      if (answer === null) return;
      const exchange = { sentMs, returnedMs: performance.now(), answer, fault: null };
      resolve(attemptOf(asked(sale, person), exchange));
      socket.destroy();
    });
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(withoutAnswer(sale, person, { sentMs, fault: "reset" }));
    });
  });
}

/** "unsent" was certainly not applied, "reset" perhaps. */
export function withoutAnswer(
  sale: Sale,
  person: string,
  { sentMs, fault }: { readonly sentMs: number; readonly fault: "unsent" | "reset" },
): Attempt {
  const exchange = { sentMs, returnedMs: performance.now(), answer: null, fault };
  return attemptOf(asked(sale, person), exchange);
}

function asked(
  { eventId, mechanism, target }: Sale,
  person: string,
): Parameters<typeof attemptOf>[0] {
  const instance = target.authority;
  return {
    id: 0,
    kind: "claim",
    person,
    eventId,
    mechanism,
    attempt: 1,
    instance,
    ticketAsked: null,
  };
}
