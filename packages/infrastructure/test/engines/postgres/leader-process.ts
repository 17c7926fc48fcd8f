// A candidate in a process of its own, so that a test can pause it whole: a paused process speaks to
// nobody, and its sessions stand. Says "leads" and "led" on its output.
import { leadership } from "../../../src/engines/postgres/leadership.ts";
import { openPostgres } from "../../../src/engines/postgres/open.ts";
import { systemTime } from "../../../src/engines/time.ts";

const [url = "", duty = ""] = process.argv.slice(2);
const bounds = { connectionsMax: 2, waitersMax: 10, waitMsMax: 1_000 };
const postgres = await openPostgres({ url, time: systemTime, ...bounds });
leadership(postgres, {
  duty,
  lead: async (signal) => {
    process.stdout.write("leads\n");
    const ended = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => ended.resolve());
    if (!signal.aborted) await ended.promise;
    process.stdout.write("led\n");
  },
  onError: (error) => process.stderr.write(`${String(error)}\n`),
});
