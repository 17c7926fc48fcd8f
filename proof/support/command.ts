// What npm test, npm run faults, npm run soak and npm run planted have in common as commands: they end
// with what they started when the terminal says so, never hang, and tell what went wrong in a line.
import { keepLocalDirect, watchParent } from "@stampede/launcher";

/** git refuses a clone that another user made, in this process and in the tests that inherit this. */
function trustClone(): void {
  Object.assign(process.env, {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "safe.directory",
    GIT_CONFIG_VALUE_0: "*",
  });
}

/**
 * Runs to the end and exits with the code it gives: 1 where it throws or takes longer than `msMax`, 130
 * where a signal, or the end of npm, ended it. `run` has to end soon after its signal aborts.
 */
export async function runCommand(
  run: (signal: AbortSignal) => Promise<number>,
  { what, msMax }: { readonly what: string; readonly msMax: number },
): Promise<never> {
  const ending = new AbortController();
  const end = (): void => {
    // A second one changes nothing: all is on its way.
    process.exitCode = 130;
    ending.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  watchParent(end);
  // Whoever reads what is said may be gone, or the terminal may be: the end is told by the exit code.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", end);
  keepLocalDirect();
  trustClone();
  const deadline = setTimeout(() => {
    console.error(`${what} did not end within ${msMax / 60_000} minutes and are stopped.`);
    process.exitCode = 1;
    ending.abort();
  }, msMax);
  try {
    const code = await run(ending.signal);
    process.exitCode ??= code;
  } catch (error) {
    // What was interrupted on purpose needs no explanation.
    if (!ending.signal.aborted) {
      process.exitCode = 1;
      console.error(error instanceof Error ? error.message : error);
    }
  }
  clearTimeout(deadline);
  process.exit();
}
