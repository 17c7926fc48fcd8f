import type { FastifyInstance } from "fastify";
import type { Config } from "./config.ts";

/** Node's default of 511 overflows when ten thousand connect at one instant. */
const BACKLOG = 4_096;

export async function listen(app: FastifyInstance, { host, port }: Config): Promise<void> {
  try {
    await app.listen({ host, port, backlog: BACKLOG });
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EADDRINUSE") throw error;
    throw new Error(
      `port ${port} of ${host} is in use: end what listens there, or set PORT to another one`,
      { cause: error },
    );
  }
}

/** Says where the service is, and how little it asks of people. */
export function announce(app: FastifyInstance, config: Config): void {
  const where = app.listeningOrigin;
  process.stdout.write(`Stampede listens on ${where} (role ${config.role})\n`);
  const { auth } = config;
  if (auth.kind === "jwt") {
    const { issuer, audience, keySet } = auth;
    const tokens = `tokens of ${issuer} for ${audience}`;
    process.stdout.write(`AUTH=jwt: ${tokens}, signed by one of ${keySet.keys.size} keys\n`);
    return;
  }
  process.stdout.write(
    "AUTH=dev: EVERYBODY IS WHO THEIR X-User-Id HEADER SAYS. For development and load tests only.\n",
  );
  if (auth.adminTokenIsNew) {
    process.stdout.write(`The operator's token, made for this run: ${auth.adminToken}\n`);
  }
}
