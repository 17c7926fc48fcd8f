// A TCP proxy that cuts where it hurts: after the server has done what it was told and before the
// client learns of it.
//
// It forwards bytes both ways. `cutReplyTo(text)` waits for a client to send that text (a command of
// PostgreSQL's or Redis' protocol is in the clear), lets it through, waits for the server's answer,
// swallows it, and resets the connection. `goAway` resets all connections and refuses new ones;
// `fallSilent` keeps them open and forwards nothing more; `comeBack` ends either.
//
// Deliberately not done: parsing the protocols. A text split over two packets is not seen; commands
// are far shorter than a packet.
import { createServer, connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";

export type TcpProxy = {
  readonly port: number;
  /** The same address, through the proxy. */
  through(url: string): string;
  /**
   * Cuts the reply to the next command that contains `text`; resolves once it was cut. Rejects where
   * there was none within 10 s: a fault that never fired proves nothing.
   */
  cutReplyTo(text: string): Promise<void>;
  goAway(): void;
  fallSilent(): void;
  comeBack(): void;
};

const FIRE_MS_MAX = 10_000;

type Cut = { readonly text: string; readonly done: () => void };

/** Listens on a free port of 127.0.0.1 and forwards to the host and port of `url`. */
export async function startTcpProxy(t: TestContext, url: string): Promise<TcpProxy> {
  const target = new URL(url);
  const pairs = new Set<readonly [Socket, Socket]>();
  const cuts: Cut[] = [];
  let mode: "open" | "away" | "silent" = "open";

  const server = createServer((client) => {
    if (mode === "away") {
      client.resetAndDestroy();
      return;
    }
    const engine = connect(Number(target.port), target.hostname);
    const pair = [client, engine] as const;
    pairs.add(pair);
    let cut: Cut | undefined;
    const close = (): void => {
      pairs.delete(pair);
      client.destroy();
      engine.destroy();
    };
    for (const socket of pair) socket.on("error", close).on("close", close);
    client.on("data", (chunk) => {
      if (mode === "silent") return;
      const index = cuts.findIndex(({ text }) => chunk.includes(text));
      if (index >= 0) [cut] = cuts.splice(index, 1);
      engine.write(chunk);
    });
    engine.on("data", (chunk) => {
      if (mode === "silent") return;
      if (cut === undefined) {
        client.write(chunk);
        return;
      }
      client.resetAndDestroy();
      close();
      cut.done();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const resetAll = (): void => {
    for (const [client, engine] of pairs) {
      client.resetAndDestroy();
      engine.destroy();
    }
    pairs.clear();
  };
  t.after(async () => {
    resetAll();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    through(of) {
      const address = new URL(of);
      address.hostname = "127.0.0.1";
      address.port = String(port);
      return address.href;
    },
    cutReplyTo: async (text) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new Error(`no reply to ${text} passed within ${FIRE_MS_MAX} ms: nothing was cut`));
        }, FIRE_MS_MAX);
        cuts.push({
          text,
          done: () => {
            clearTimeout(timer);
            resolve();
          },
        });
      }),
    goAway() {
      mode = "away";
      resetAll();
    },
    fallSilent() {
      mode = "silent";
    },
    comeBack() {
      // What a silent proxy kept back is gone: both sides must start anew.
      if (mode === "silent") resetAll();
      mode = "open";
    },
  };
}
