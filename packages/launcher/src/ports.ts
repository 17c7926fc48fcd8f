import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import type { ListenOptions, Server } from "node:net";
import { errorCode } from "./processes.ts";

// Below the range from which systems take the ports of outgoing connections (32768 and above):
// a port asked from the system could be taken by somebody's connection before the engine binds it.
const portMin = 20_000;
const portMax = 32_000;
const attemptsMax = 200;

/**
 * A port that nobody listens on now, and that no other call on this machine is given while this
 * process lives: an engine binds its port seconds after it was chosen.
 */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const port = randomInt(portMin, portMax);
    if ((await takeName(port)) && (await isPortFree(port, host))) return port;
  }
  throw new Error(`No free port between ${portMin} and ${portMax} after ${attemptsMax} attempts.`);
}

/**
 * Takes a name for the port until this process ends; false where somebody has it. Linux frees such a
 * name with its process, so nothing is left of one that was killed. Other systems have none.
 */
async function takeName(port: number): Promise<boolean> {
  if (process.platform !== "linux") return true;
  const holder = createServer().unref();
  return isListening(holder, { path: `\0stampede-port-${port}` });
}

/** Whether this process could listen there now. Rejects when the host or port is no good at all. */
export async function isPortFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  const server = createServer();
  if (!(await isListening(server, { port, host, exclusive: true }))) return false;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return true;
}

/** False where somebody else listens there. */
async function isListening(server: Server, at: ListenOptions): Promise<boolean> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(at, resolve);
    });
  } catch (error) {
    if (errorCode(error) === "EADDRINUSE") return false;
    throw error;
  }
  return true;
}
