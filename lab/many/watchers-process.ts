// So many watchers of one event, in a process of their own: what reading costs is not the prober's.
// node watchers-process.ts HOST PORT EVENT COUNT; prints a line when all have their first frame, and one
// with what the first watcher has seen when it is told to end.
import { once } from "node:events";
import { connect } from "node:net";

const [host = "", port = "", event = "", count = ""] = process.argv.slice(2);
const WAVE = 200;
const question = `GET /events/${event}/stream HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`;

let frames = 0;
let ended = 0;

async function watch(isFirst: boolean): Promise<void> {
  const socket = connect({ host, port: Number(port) });
  socket.on("error", () => undefined).on("close", () => (ended += 1));
  await once(socket, "connect");
  socket.write(question);
  const seen = Promise.withResolvers<void>();
  socket.on("data", (chunk: Buffer) => {
    if (!chunk.includes("event: progress")) return;
    seen.resolve();
    if (isFirst) frames += 1;
  });
  await seen.promise;
}

for (let opened = 0; opened < Number(count); opened += WAVE) {
  const wave = Math.min(WAVE, Number(count) - opened);
  await Promise.all(Array.from({ length: wave }, async (_, n) => watch(opened + n === 0)));
}
const [startMs, before] = [performance.now(), frames];
process.stdout.write("ready\n");
process.on("SIGTERM", () => {
  const perSecond = (1_000 * (frames - before)) / (performance.now() - startMs);
  process.stdout.write(`${JSON.stringify({ perSecond, ended })}\n`, () => process.exit());
});
