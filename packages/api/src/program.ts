// What a process of the service is, by the environment and by who started it: all there is, one of
// several workers, or the primary that starts those.
import type { Logger } from "pino";
import { pino } from "pino";
import { areUsable, checkTable } from "./check-table.ts";
import { Closing } from "./closing.ts";
import { readConfig } from "./config.ts";
import type { Config } from "./config.ts";
import type { Host } from "./host.ts";
import { announce } from "./listening.ts";
import type { DatabaseRoom } from "./listening.ts";
import { STOP_MS_MAX, untilStopped } from "./shutdown.ts";
import { runPrimary } from "./workers/primary.ts";
import { WORKER_ARGUMENT } from "./workers/channel.ts";
import { isWorker, workerHost } from "./workers/worker.ts";

type Server = {
  readonly check: (config: Config) => Promise<Parameters<typeof checkTable>[0]>;
  readonly serve: (
    config: Config,
    around: Readonly<{ log: Logger; stack: Closing; host: Host }>,
  ) => Promise<void>;
};

type Load = () => Promise<Server>;

const CHECK = "--check";

/** Ends the process when everything is done. */
export async function runProgram(
  environment: Readonly<Record<string, string | undefined>>,
  load: Load,
  args: readonly string[],
): Promise<void> {
  const unknown = args.filter((arg) => arg !== CHECK && arg !== WORKER_ARGUMENT);
  if (unknown.length > 0) {
    process.stderr.write(`Stampede does not know ${unknown.join(" ")}. There is ${CHECK}.\n`);
    process.exitCode = 2;
    return;
  }
  const reading = readConfig(environment);
  if (!reading.ok) {
    const faults = reading.faults.map((fault) => `- ${fault}\n`).join("");
    process.stderr.write(`Stampede cannot start:\n${faults}`);
    process.exitCode = 2;
    return;
  }
  const { config } = reading;
  if (args.includes(CHECK)) {
    process.exitCode = await runCheck(config, load);
    process.exit();
  }
  const log = pino({ level: config.logLevel });
  if (isWorker()) await runServer(config, load, { log, host: workerHost(log) });
  else if (config.workers === 1) await runServer(config, load, { log, host: alone(config, log) });
  else process.exitCode = await runPrimary(config, { environment, log, cannotStart });
  // A signal in the middle of start-up leaves behind what was being opened just then.
  process.exit();
}

/** Looks at the engines as a start would, and changes nothing. Gives the exit code. */
async function runCheck(config: Config, load: Load): Promise<number> {
  const { check } = await load();
  const findings = await check(config);
  process.stdout.write(checkTable(findings));
  return areUsable(findings) ? 0 : 1;
}

async function runServer(
  config: Config,
  load: Load,
  { log, host }: Readonly<{ log: Logger; host: Host }>,
): Promise<void> {
  const stack = new Closing();
  try {
    const { serve } = await load();
    await Promise.race([serve(config, { log, stack, host }), host.stopped]);
    await host.stopped;
  } catch (error) {
    log.debug({ err: error }, "the server failed");
    await host.cannotStart(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
  if (!(await stack.closeAll(STOP_MS_MAX, log))) process.exitCode = 1;
}

function alone(config: Config, log: Logger): Host {
  let room: DatabaseRoom | null = null;
  return {
    stopped: untilStopped(log),
    async mayListen(told) {
      room = told;
    },
    listens(where) {
      if (room !== null) announce(where, config, { room, log });
    },
    cannotStart,
    metricsReader: null,
  };
}

async function cannotStart(why: string): Promise<void> {
  process.stderr.write(`Stampede cannot start: ${why}\n`);
}
