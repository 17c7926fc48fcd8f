// People who only read or watch, in a thread of their own: what they cost is the program's, and not that of
// whoever measures it.
import { Agent, get } from "node:http";
import { connect } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

export type BesideWork = {
  readonly url: string;
  readonly count: number;
  /** Readers ask for these in turn, half a second after each answer; watchers stay at the first. */
  readonly paths: readonly string[];
  readonly do: "read" | "watch";
};

const WAVE = 100;
const READ_EVERY_MS = 500;
const work: BesideWork = workerData;
let seen = 0;

parentPort?.on("message", () => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  parentPort?.postMessage(seen);
});

if (work.do === "read") read(work);
else watch(work);

/** `seen` counts answers. */
function read({ url, count, paths }: BesideWork): void {
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  const next = (n: number): void => {
    get(new URL(paths[n % paths.length]!, url), { agent }, (answer) => {
      answer.resume();
      answer.on("end", () => {
        seen += 1;
        setTimeout(next, READ_EVERY_MS, n + 1);
      });
    }).on("error", () => setTimeout(next, 100, n));
  };
  for (let reader = 0; reader < count; reader += 1) next(reader);
}

/** `seen` counts frames, of all watchers together. */
function watch({ url, count, paths }: BesideWork): void {
  const { hostname, port, host } = new URL(url);
  const head = `GET ${paths[0]} HTTP/1.1\r\nHost: ${host}\r\nAccept: text/event-stream\r\n\r\n`;
  let open = 0;
  const wave = (): void => {
    for (let one = 0; one < WAVE && open < count; one += 1) {
      open += 1;
      const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(head));
      socket.on("error", () => undefined);
      socket.on("data", (chunk: Buffer) => {
        if (chunk.includes("\ndata:") || chunk.includes("data:")) seen += 1;
      });
    }
    if (open < count) setTimeout(wave, 20);
  };
  wave();
}
