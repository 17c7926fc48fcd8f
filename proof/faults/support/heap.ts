// What a program's heap holds when everything that nobody needs any more has been collected, through
// Node's own inspector: SIGUSR1 opens it on 127.0.0.1, on a free port (`--inspect-port=0` at the start).
import assert from "node:assert/strict";
import type { Program } from "../../support/program.ts";
import { until } from "./sale.ts";

/** The inspector of a process; `pid` tells a restarted program from the one before it. */
const inspectors = new Map<number, string>();

type HeapUsage = { readonly usedSize: number; readonly backingStorageSize?: number };

/** Bytes: objects and the memory behind their buffers, after a full collection. */
export async function heapAtRest(program: Program): Promise<number> {
  const socket = new WebSocket(await inspectorOf(program));
  const closed = Promise.withResolvers<never>();
  closed.promise.catch(() => undefined);
  socket.addEventListener("close", () => closed.reject(new Error("the inspector hung up")));
  const opened = Promise.withResolvers<void>();
  socket.addEventListener("open", () => opened.resolve());
  try {
    await Promise.race([opened.promise, closed.promise]);
    const ask = async (id: number, method: string): Promise<unknown> =>
      Promise.race([answerTo(socket, id, method), closed.promise]);
    await ask(1, "HeapProfiler.collectGarbage");
    const { usedSize, backingStorageSize = 0 } = (await ask(
      2,
      "Runtime.getHeapUsage",
    )) as HeapUsage;
    return usedSize + backingStorageSize;
  } finally {
    socket.close();
  }
}

async function inspectorOf({ pid, lastWords }: Program): Promise<string> {
  const known = inspectors.get(pid);
  if (known !== undefined) return known;
  process.kill(pid, "SIGUSR1");
  let url: string | undefined;
  await until(async () => {
    url = /Debugger listening on (ws:\/\/127\.0\.0\.1:\S+)/.exec(lastWords())?.[1];
    return url !== undefined;
  }, "the program's inspector listens");
  assert.ok(url !== undefined);
  inspectors.set(pid, url);
  return url;
}

async function answerTo(socket: WebSocket, id: number, method: string): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  socket.addEventListener("message", ({ data }) => {
    const answer = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: unknown };
    if (answer.id !== id) return;
    if (answer.error === undefined) resolve(answer.result);
    else reject(new Error(`${method}: ${JSON.stringify(answer.error)}`));
  });
  socket.send(JSON.stringify({ id, method }));
  return promise;
}
