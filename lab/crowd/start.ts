// What `npm run rush` and `npm run lab` share before the first claim: the server, its mechanisms, the
// limits of the machine, and an end that leaves nothing behind.
import { descriptorFault, descriptorLimit } from "./descriptors.ts";
import { mechanisms, type Mechanism } from "./history.ts";
import { engineStates } from "./operator.ts";
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
 * The mechanisms that can take claims now. One that is off is left out with a line, and an error
 * where it was asked for by name; one that is down is an error always.
 */
export async function availableMechanisms(
  shop: OpenShop,
  wanted: { readonly mechanisms: readonly Mechanism[]; readonly named: boolean },
): Promise<Mechanism[]> {
  const states = await engineStates(shop.url);
  const missing = wanted.mechanisms.filter((mechanism) => states[mechanism] !== "up");
  for (const mechanism of missing) {
    const { engine, version } = mechanisms[mechanism];
    const text = `${mechanism} (${version}) is left out: ${engine} is ${states[mechanism]} (${shop.url}/readyz)`;
    // Off is how the server was started; down is a fault that a table must not hide.
    if (wanted.named || states[mechanism] === "down") throw new Error(`${text}. Start it first.`);
    process.stdout.write(`${text}\n`);
  }
  const rest = wanted.mechanisms.filter((mechanism) => !missing.includes(mechanism));
  if (rest.length === 0) throw new Error("No mechanism is left to rush.");
  return rest;
}

/**
 * Runs a command to its exit status. On Ctrl-C what it opened is closed and the process ends with
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
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    return await command(cleanups);
  } catch (error) {
    // While cleaning up, connections break under the rush: that is no news.
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
