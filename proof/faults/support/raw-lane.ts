// One connection for many well-framed requests, one after the other; another one where the server has
// closed it.
import type { Socket } from "node:net";
import { ANSWER_MS_MAX, openRaw } from "./raw-answers.ts";
import type { Answer } from "./raw-answers.ts";

export type Lane = Disposable & {
  /** Rejects when the answer is not there within five seconds, or never comes whole. */
  readonly ask: (request: Buffer) => Promise<Answer>;
};

export function openLane(url: string): Lane {
  let socket: Socket | null = null;
  return {
    async ask(request) {
      socket ??= openRaw(url);
      socket.write(request);
      const { answer, reusable } = await readAnswer(socket, request);
      if (!reusable) {
        socket.destroy();
        socket = null;
      }
      return answer;
    },
    [Symbol.dispose]: () => void socket?.destroy(),
  };
}

function readAnswer(socket: Socket, request: Buffer): Promise<Read> {
  const hasBody = !request.subarray(0, 5).equals(Buffer.from("HEAD "));
  let received = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      socket.off("data", onData).off("close", onClose);
    };
    const fail = (what: string): void => {
      end();
      reject(new Error(`${what}: ${JSON.stringify(request.toString("latin1"))}`));
    };
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const read = parse(received, hasBody);
      if (read === null) return;
      end();
      resolve(read);
    };
    const onClose = (): void => fail("closed without an answer");
    const timer = setTimeout(() => fail("no answer in time"), ANSWER_MS_MAX);
    socket.on("data", onData).on("close", onClose);
  });
}

type Read = { readonly answer: Answer; readonly reusable: boolean };

function parse(received: Buffer, hasBody: boolean): Read | null {
  const end = received.indexOf("\r\n\r\n");
  if (end === -1) return null;
  const head = received.subarray(0, end).toString();
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
  // "100 Continue" only precedes the answer.
  if (status === 100) return parse(received.subarray(end + 4), hasBody);
  const reusable = !/^connection: close$/im.test(head);
  // A stream has answered with its first line; it would go on for ever.
  if (/^content-type: text\/event-stream/im.test(head)) {
    return { answer: { status, head, body: "" }, reusable: false };
  }
  const length = hasBody ? Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0) : 0;
  const next = end + 4 + length;
  if (received.length < next) return null;
  return { answer: { status, head, body: received.subarray(end + 4, next).toString() }, reusable };
}
