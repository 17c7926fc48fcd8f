// What a program's heap holds when everything that nobody needs any more has been collected, through
// Node's own inspector: SIGUSR1 opens it on 127.0.0.1, on a free port (`--inspect-port=0` at the start).
import assert from "node:assert/strict";
import { until } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";
import { serversOf } from "./processes.ts";

/** The inspector of a process; `pid` tells a restarted program from the one before it. */
const inspectors = new Map<number, string>();

type HeapUsage = { readonly usedSize: number; readonly backingStorageSize?: number };

/** Bytes: objects and the memory behind their buffers, after a full collection; of all its workers. */
export async function heapAtRest(program: Program): Promise<number> {
  let bytes = 0;
  // One after the other: whose inspector it is that says where it listens is told by the order alone.
  for (const pid of serversOf(program.pid)) bytes += await heapOf(await inspectorOf(program, pid));
  return bytes;
}

async function heapOf(inspector: string): Promise<number> {
  const socket = new WebSocket(inspector);
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

async function inspectorOf({ lastWords }: Program, pid: number): Promise<string> {
  const known = inspectors.get(pid);
  if (known !== undefined) return known;
  process.kill(pid, "SIGUSR1");
  let url: string | undefined;
  await until(async () => {
    const told = lastWords().matchAll(/Debugger listening on (ws:\/\/127\.0\.0\.1:\S+)/g);
    const others = new Set(inspectors.values());
    url = Array.from(told, ([, at]) => at).find((at) => at !== undefined && !others.has(at));
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
