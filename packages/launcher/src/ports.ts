import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { errorCode } from "./processes.ts";

// Below the range from which systems take the ports of outgoing connections (32768 and above):
// a port asked from the system could be taken by somebody's connection before the engine binds it.
const portMin = 20_000;
const portMax = 32_000;
const attemptsMax = 200;

/** A port that nobody listens on now. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const port = randomInt(portMin, portMax);
    if (await isPortFree(port, host)) return port;
  }
  throw new Error(`No free port between ${portMin} and ${portMax} after ${attemptsMax} attempts.`);
}

/** Whether this process could listen there now. Rejects when the host or port is no good at all. */
export async function isPortFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port, host, exclusive: true }, resolve);
    });
  } catch (error) {
    if (errorCode(error) === "EADDRINUSE") return false;
    throw error;
  }
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  return true;
}
