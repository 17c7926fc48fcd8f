import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import type { ListenOptions, Server } from "node:net";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { Config } from "./config.ts";
import { nameOf } from "./jwt-settings.ts";

declare module "fastify" {
  interface FastifyInstance {
    /** Take connections for the one server at the host's other addresses. */
    otherListeners: Server[];
  }
}

/** Node's default of 511 overflows when ten thousand connect at one instant. */
const BACKLOG = 4_096;

/** Like the server itself they take nobody once it closes, and end with their last connection. */
export function registerOtherListeners(app: FastifyInstance): void {
  const closed: Promise<unknown>[] = [];
  app.decorate("otherListeners", []);
  app.addHook("preClose", (done) => {
    for (const other of app.otherListeners) closed.push(once(other.close(), "close"));
    done();
  });
  app.addHook("onClose", async () => void (await Promise.all(closed)));
}

/**
 * With `shared`, other processes of this program listen there too: the kernel spreads connections. Where
 * the host has several addresses, all connections are those of the one server, whose rules then hold on
 * each: what the framework makes for the others is a server without them. Gives where that is.
 */
export async function listen(
  app: FastifyInstance,
  { host, port, shared }: Pick<Config, "host" | "port"> & { readonly shared: boolean },
  addresses?: readonly string[],
): Promise<string> {
  const how = { backlog: BACKLOG, ...(shared ? { exclusive: true, reusePort: true } : {}) };
  const [first = host, ...more] = addresses ?? (await addressesOf(host));
  let at = { host: first, port };
  try {
    await app.listen({ ...at, ...how });
    const bound = app.server.address();
    for (const address of more) {
      at = { host: address, port: typeof bound === "object" ? (bound?.port ?? port) : port };
      app.otherListeners.push(await listenFor(app.server, { ...at, ...how }));
    }
  } catch (error) {
    throw errorOfListening(error, at);
  }
  return more.length === 0 ? app.listeningOrigin : `http://${host}:${at.port}`;
}

/** Takes connections for a server that listens elsewhere. */
async function listenFor(server: FastifyInstance["server"], at: ListenOptions): Promise<Server> {
  const other = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    server.emit("connection", socket);
  });
  other.listen(at);
  await once(other, "listening");
  return other;
}

/** Where a host is listened to: localhost has an address of each family that this machine has. */
export async function addressesOf(host: string): Promise<readonly string[]> {
  if (host !== "localhost") return [host];
  const found = await lookup(host, { all: true });
  const usable = await Promise.all(found.map(async ({ address }) => isOfThisMachine(address)));
  return [...new Set(found.filter((_, n) => usable[n]).map(({ address }) => address))];
}

async function isOfThisMachine(host: string): Promise<boolean> {
  const probe = createServer().listen({ host, port: 0 });
  try {
    await once(probe, "listening");
  } catch {
    // No such family or no such address here, as in many containers.
    return false;
  }
  await once(probe.close(), "close");
  return true;
}

/** The same in words, where somebody can do something about it. */
export function errorOfListening(
  error: unknown,
  { host, port }: Pick<Config, "host" | "port">,
): unknown {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "EADDRINUSE") {
    const advice = "end what listens there, or set PORT to another one";
    return new Error(`port ${port} of ${host} is in use: ${advice}`, { cause: error });
  }
  if (code === "ENOTSUP") {
    const why = "this system does not let processes share a port (Linux does)";
    return new Error(`${why}: set WORKERS to 1`, { cause: error });
  }
  return error;
}

/** Connections to PostgreSQL of one process; `others` had been open before it. */
export type DatabaseRoom = {
  readonly max: number;
  readonly allowed: number;
  readonly others: number;
};

/** Says where the service is, what it takes of the database, and how little it asks of people. */
export function announce(
  where: string,
  config: Config,
  { room, log }: { readonly room: DatabaseRoom; readonly log: Logger },
): void {
  const { auth, role, workers } = config;
  const alone = workers === 1;
  say(`Stampede listens on ${where} (role ${role}${alone ? "" : `, ${workers} workers`})`);
  const { max, allowed, others } = room;
  const total = max * workers;
  const those = alone ? "" : ` (${max} for each worker)`;
  const more = `${Math.floor(allowed / total)} such ${alone ? "processes" : "programs"}`;
  say(`PostgreSQL: up to ${total} connections${those}; it allows ${allowed}, so ${more}`);
  // Told before a crowd finds it out: where there is no room, connections fail one by one.
  if (total > allowed - others) {
    log.warn(
      `this program opens up to ${total} connections to PostgreSQL, which allows ${allowed} and has ` +
        `${others} of others open: raise max_connections, or lower POOL_SHARED, POOL_DECISIONS, ` +
        `POOL_ROW_LOCK or WORKERS`,
    );
  }
  if (auth.kind === "jwt") {
    const { rules, keys } = auth;
    const tokens = `tokens of ${rules.issuers.join(" or ")} for ${rules.audiences.join(" or ")}`;
    const signed =
      keys.kind === "file"
        ? `one of ${keys.keySet.keys.length} keys`
        : `the keys at ${nameOf(keys)}`;
    return say(`AUTH=jwt: ${tokens}, signed by ${signed}`);
  }
  say(
    "AUTH=dev: EVERYBODY IS WHO THEIR X-User-Id HEADER SAYS. For development and load tests only.",
  );
  if (auth.adminTokenIsNew) say(`The operator's token, made for this run: ${auth.adminToken}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
