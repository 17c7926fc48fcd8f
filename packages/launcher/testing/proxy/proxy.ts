// A TCP proxy on the loopback in front of one engine, for tests.
//
// Purpose. What a network does to the service and its engine (latency, jitter, little bandwidth, small
// slices, a black hole, resets), and what no network can be told to do: keep or lose exactly the
// reply to COMMIT, EVALSHA or Produce number n, when the engine has done its work and we do not know.
//
// Invariants
// - A reply that is cut has left the server, and no byte of it beyond those asked for reaches the
//   client: replies are passed on whole, and a connection that is cut is reset at once.
// - Bytes and ends keep their order in each direction.
// - A test counts replies from the moment it sets its trap, over all connections of the proxy.
//
// Deliberately not done: back pressure (a slow link keeps what waits in memory; tests send little),
// refused connects (the kernel completes a connect before we are asked: `away` resets it at once).
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import type { TestContext } from "node:test";
import { readNothing } from "./frames.ts";
import type { OpenReader, ReplyReader } from "./frames.ts";
import { clearLink, openLane } from "./lane.ts";
import type { Conditions, Link } from "./lane.ts";

/** The last reply that surely comes: on a busy machine a crowd makes few batches, and no third one. */
export const REPLY_MAX = 2;

export type Trap = {
  /** Resolves when the reply came and was cut or held. */
  readonly sprung: Promise<void>;
  readonly isSprung: () => boolean;
  /** Lets a held reply, and what waits behind it, go on to the client. */
  readonly release: () => void;
};

export type FaultProxy = {
  readonly port: number;
  /** The engine's address (a URL, or "host:port" for Kafka) with the proxy in its place. */
  readonly through: (address: string) => string;
  /** Changes the link from now on; what is not named stays. */
  readonly set: (link: Partial<Link>) => void;
  /** The link is clear again, and no trap waits any more. What a black hole kept goes on. */
  readonly heal: () => void;
  /** Ends all connections by a reset, both ways; gives how many. */
  readonly resetAll: () => number;
  /** Connections from now on lead to this port, as after a failover by address or by name. */
  readonly pointTo: (port: number) => void;
  /** Resets the connection in place of reply `n` (from 1); `bytes` of the reply are delivered first. */
  readonly cutReply: (n: number, bytes?: number) => Trap;
  /** Holds reply `n` back, and all that comes after it on the same connection. */
  readonly holdReply: (n: number) => Trap;
  /** Resets all connections, and each new one, until the link heals. */
  readonly away: () => void;
  /** Replies that counted so far. */
  readonly replies: () => number;
  readonly connections: () => number;
  readonly close: () => Promise<void>;
};

type SetTrap = {
  readonly atReply: number;
  /** Null: hold it. */
  readonly cutAfterBytes: number | null;
  readonly released: Promise<void>;
  readonly spring: () => void;
};

type Pair = { readonly client: Socket; readonly server: Socket };

type State = {
  readonly pairs: Set<Pair>;
  readonly traps: Set<SetTrap>;
  readonly conditions: Conditions;
  replies: number;
  link: Link;
  /** Where the next connection leads. */
  port: number;
  isAway: boolean;
};

/** Listens on a free port until the test ends. `random` drives jitter and resets. */
export async function startProxy(
  t: Pick<TestContext, "after">,
  options: {
    readonly port: number;
    readonly reader?: OpenReader;
    readonly random?: () => number;
  },
): Promise<FaultProxy> {
  let opening = Promise.withResolvers<void>();
  opening.resolve();
  const state: State = {
    pairs: new Set(),
    traps: new Set(),
    conditions: {
      link: () => state.link,
      open: async () => opening.promise,
      random: options.random ?? Math.random,
    },
    replies: 0,
    link: clearLink,
    port: options.port,
    isAway: false,
  };
  const listener = createServer({ allowHalfOpen: true, noDelay: true });
  const port = await listen(listener);
  const accept = async (client: Socket): Promise<void> => {
    client.on("error", ignoreEnd);
    if (state.isAway) client.resetAndDestroy();
    // The kernel has answered the connect already; in a black hole nobody behind it hears of it.
    await opening.promise;
    const reading = (options.reader ?? readNothing)({ engine: state.port, proxy: port });
    if (!client.destroyed) join(client, { state, reading });
  };
  listener.on("connection", (client) => void accept(client));
  const proxy: FaultProxy = {
    port,
    through: (address) => address.replace(/:\d+(?=\/|$)/, `:${port}`),
    set(link) {
      if (link.blackhole === true && !state.link.blackhole) opening = Promise.withResolvers<void>();
      state.link = { ...state.link, ...link };
      if (!state.link.blackhole) opening.resolve();
    },
    heal() {
      state.traps.clear();
      state.isAway = false;
      proxy.set(clearLink);
    },
    resetAll: () => resetAll(state),
    pointTo(next) {
      state.port = next;
    },
    cutReply: (n, bytes = 0) => setTrap(state, n, bytes),
    holdReply: (n) => setTrap(state, n, null),
    away() {
      state.isAway = true;
      proxy.resetAll();
    },
    replies: () => state.replies,
    connections: () => state.pairs.size,
    async close() {
      proxy.heal();
      if (listener.listening) {
        listener.close();
        proxy.resetAll();
        await once(listener, "close");
      }
    },
  };
  t.after(() => proxy.close());
  return proxy;
}

function setTrap(state: State, n: number, cutAfterBytes: number | null): Trap {
  const { promise: sprung, resolve } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let isSprung = false;
  const spring = (): void => {
    isSprung = true;
    resolve();
  };
  state.traps.add({ atReply: state.replies + n, cutAfterBytes, released, spring });
  return { sprung, isSprung: () => isSprung, release };
}

type Joining = { readonly state: State; readonly reading: ReplyReader };

function join(client: Socket, { state, reading }: Joining): void {
  const { port } = state;
  const server = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
  const pair = { client, server };
  state.pairs.add(pair);
  const { conditions } = state;
  const toServer = openLane(server, conditions);
  const toClient = openLane(client, conditions);
  client.on("data", (chunk: Buffer) => {
    reading.request(chunk);
    toServer.send(chunk);
  });
  client.on("end", () => toServer.act(() => void server.end()));
  server.on("data", (chunk: Buffer) => {
    if (conditions.random() < state.link.resetShare) reset(pair);
    for (const reply of reading.reply(chunk)) {
      const trap = reply.counts ? trapOf(state) : null;
      if (trap !== null) toClient.act(async () => spring(trap, pair, reply.bytes));
      if (trap?.cutAfterBytes === null || trap === null) toClient.send(reply.bytes);
    }
  });
  server.on("end", () => toClient.act(() => void client.end()));
  server.on("error", ignoreEnd);
  for (const [socket, other] of [
    [client, server],
    [server, client],
  ] as const) {
    // A reset travels on to the other side; in a black hole it does not.
    socket.on("close", () => {
      state.pairs.delete(pair);
      void conditions.open().then(() => other.destroy());
    });
  }
}

/** Counts a reply, and takes the trap that is set for it. */
function trapOf(state: State): SetTrap | null {
  state.replies += 1;
  for (const trap of state.traps) {
    if (trap.atReply !== state.replies) continue;
    state.traps.delete(trap);
    return trap;
  }
  return null;
}

async function spring(trap: SetTrap, pair: Pair, reply: Buffer): Promise<void> {
  const bytes = trap.cutAfterBytes;
  if (bytes === null) {
    trap.spring();
    await trap.released;
    return;
  }
  if (bytes > 0 && pair.client.writable) {
    await new Promise((written) => pair.client.write(reply.subarray(0, bytes), written));
  }
  reset(pair);
  trap.spring();
}

function resetAll({ pairs }: State): number {
  const count = pairs.size;
  for (const pair of pairs) reset(pair);
  return count;
}

function reset({ client, server }: Pair): void {
  client.resetAndDestroy();
  server.resetAndDestroy();
}

/** A connection that breaks is what these tests are about; its "close" tells the other side. */
function ignoreEnd(): void {}

async function listen(listener: Server): Promise<number> {
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return address.port;
}
