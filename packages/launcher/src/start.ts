// What `npm start` runs: node start.ts SERVER_SCRIPT [--check] [--fresh] [--data FOLDER] [--workers N]
import { once } from "node:events";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect, parseArgs } from "node:util";
import { launchCheck } from "./check.ts";
import { killAll, launch } from "./launcher.ts";
import type { Launched, LaunchPlan } from "./launcher.ts";
import { judgeLimits, ownLimits } from "./limits.ts";
import { keepLocalDirect } from "./no-proxy.ts";
import { watchParent } from "./parent.ts";
import { errorCode } from "./processes.ts";
import { randomSecret } from "./private-file.ts";
import { LaunchRefused } from "./refused.ts";
import { isRefusedFile, sentence } from "./system-errors.ts";

const usage = "Usage: npm start [-- [--check] [--fresh] [--data FOLDER] [--workers N]]";
const portMax = 65_535;
const workersMax = 64;

/**
 * One Ctrl-C may arrive twice: the terminal signals the whole group, and npm hands its own on. Only
 * a signal that comes clearly later is a second thought.
 */
const echoMs = 1_000;

const ending = new AbortController();
const say = (line: string): void => console.log(line);
// Whoever read what is said has gone (`| head`), or the terminal has: end as they did. The streams fail
// from then on, which must not keep us from stopping what runs.
process.stdout.on("error", () => ending.abort());
process.stderr.on("error", () => undefined);

try {
  await run(readPlan());
} catch (error) {
  // What was interrupted on purpose has not failed.
  if (!ending.signal.aborted) {
    process.exitCode = 1;
    console.error(`\nStampede cannot start. ${describe(error)}`);
  }
}
if (ending.signal.aborted) say("Stopped.");
// Nothing is left to wait for, whatever a library may still keep open.
process.exit();

async function run(plan: Plan): Promise<void> {
  endOnSignals(plan.dataFolder);
  keepLocalDirect(plan.host);
  if (plan.check) {
    process.exitCode = await launchCheck(plan);
    return;
  }
  const tight = judgeLimits(ownLimits());
  if (tight !== null) say(tight);
  const launched = await launch(plan);
  say(welcome(plan, launched));
  if (!ending.signal.aborted) await once(ending.signal, "abort");
  await launched.stop();
}

function endOnSignals(dataFolder: string): void {
  let firstMs = 0;
  watchParent(() => {
    say("\nWhat started this has ended. Stopping.");
    ending.abort();
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (!ending.signal.aborted) {
        firstMs = performance.now();
        say("\nStopping. Ctrl-C again kills at once.");
        ending.abort();
      } else if (performance.now() - firstMs > echoMs) {
        void killAll(dataFolder).finally(() => process.exit(1));
      }
    });
  }
}

function welcome(plan: LaunchPlan, launched: Launched): string {
  const { WORKERS: workers } = plan.environment;
  return [
    "",
    `  Page            ${launched.url}`,
    ...(isLoopback(plan.host)
      ? []
      : [`  Listens on      ${plan.host} (HOST), for other machines too`]),
    ...(workers === "1" ? [] : [`  Workers         ${workers}`]),
    ...(plan.auth === "dev" ? [`  Operator token  ${launched.adminToken}`] : []),
    `  Data            ${plan.dataFolder} (npm start -- --fresh begins anew)`,
    "  Stop            Ctrl-C",
    "",
  ].join("\n");
}

function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|::1)$/.test(host);
}
type Plan = LaunchPlan & { readonly check: boolean };

/** Throws where the command or the environment makes no sense. */
function readPlan(): Plan {
  const { env } = process;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      check: { type: "boolean" },
      fresh: { type: "boolean" },
      data: { type: "string" },
      workers: { type: "string" },
    },
  });
  const [scriptPath] = positionals;
  if (scriptPath === undefined || positionals.length > 1) throw new LaunchRefused(usage);
  const port = Number(env["PORT"] || 3000);
  if (!Number.isInteger(port) || port < 0 || port > portMax) {
    throw new LaunchRefused(`PORT must be a number from 0 to ${portMax}, not "${env["PORT"]}".`);
  }
  const workers = values.workers ?? (env["WORKERS"] || "1");
  if (!/^[0-9]+$/.test(workers) || Number(workers) < 1 || Number(workers) > workersMax) {
    const name = values.workers === undefined ? "WORKERS" : "--workers";
    throw new LaunchRefused(`${name} must be a number from 1 to ${workersMax}, not "${workers}".`);
  }
  return {
    scriptPath,
    check: values.check === true,
    // As seen from where npm was called, which is not always the project's folder.
    dataFolder:
      values.data === undefined
        ? fileURLToPath(new URL("../../../.stampede", import.meta.url))
        : resolve(env["INIT_CWD"] || ".", values.data),
    // What is looked at is not wiped.
    fresh: values.fresh === true && values.check !== true ? "wipe" : "keep",
    host: env["HOST"] || "127.0.0.1",
    port,
    adminToken: env["ADMIN_TOKEN"] || randomSecret(),
    auth: env["AUTH"] || "dev",
    external: {
      postgres: env["DATABASE_URL"] || null,
      redis: env["REDIS_URL"] || null,
      kafka: env["KAFKA_BROKERS"] || null,
    },
    environment: { ...env, WORKERS: workers },
    report: say,
    signal: ending.signal,
  };
}

function describe(error: unknown): string {
  if (error instanceof LaunchRefused) return error.message;
  if (isRefusedFile(error)) return sentence(error);
  if (errorCode(error)?.startsWith("ERR_PARSE_ARGS") === true) return `${String(error)}\n${usage}`;
  // Not foreseen: with all that is known.
  return error instanceof Error ? inspect(error) : String(error);
}
