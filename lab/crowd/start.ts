// What the lab and JMeter share before the first claim: the server, the limits of the machine, and an
// end that leaves nothing behind.
import { keepLocalDirect, watchParent } from "@stampede/launcher";

import { descriptorFault, descriptorLimit } from "./descriptors.ts";
import { runningShop, shopAt, startPrivateShop, type OpenShop } from "./shop.ts";

/** Progress goes to the error stream, so that results alone can be redirected. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** The server at `url`, else what `npm start` runs in this folder, else a private program. */
export async function openShop(
  url: string | null,
  environment: NodeJS.ProcessEnv,
  cleanups: AsyncDisposableStack,
): Promise<OpenShop> {
  if (url !== null) return shopAt(url, environment);
  return (await runningShop()) ?? startPrivateShop(cleanups, say);
}

/** Throws where this process or the server may not open as many connections. */
export function requireDescriptors(connections: number, serverPid: number | null): void {
  const fault = descriptorFault(connections, [
    { process: "this process", limit: descriptorLimit("self") },
    ...(serverPid === null
      ? []
      : [{ process: `the server (pid ${serverPid})`, limit: descriptorLimit(serverPid) }]),
  ]);
  if (fault !== null) throw new Error(fault);
}

/**
 * Runs a command to its exit status. On Ctrl-C, or when npm is ended, what it opened is closed and the process ends with
 * 130; `lost` says what is not there because of that, or of a failure.
 */
export async function toExitStatus(
  name: string,
  command: (cleanups: AsyncDisposableStack) => Promise<number>,
  lost: () => string | null = () => null,
): Promise<number> {
  const cleanups = new AsyncDisposableStack();
  let interrupted = false;
  const interrupt = (): void => {
    if (interrupted) return;
    interrupted = true;
    say(["interrupted", lost(), "cleaning up ..."].filter((words) => words !== null).join("; "));
    void cleanups.disposeAsync().finally(() => process.exit(130));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
  // npm ends without a word where it is killed, and so does a terminal.
  watchParent(interrupt);
  process.stderr.on("error", interrupt);
  keepLocalDirect();
  try {
    return await command(cleanups);
  } catch (error) {
    // While cleaning up, connections break under the crowd: that is no news.
    if (!interrupted) {
      say(`The ${name} failed: ${error instanceof Error ? error.message : String(error)}`);
      const missing = lost();
      if (missing !== null) say(missing);
    }
    return 1;
  } finally {
    if (interrupted) await new Promise(() => {});
    await cleanups.disposeAsync();
  }
}
