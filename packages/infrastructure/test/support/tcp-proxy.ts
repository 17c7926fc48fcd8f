// A proxy that cuts where it hurts: after the server has done what it was told and before the client
// learns of it. Which reply is meant is told by a text of its command, which is in the clear in
// PostgreSQL's, Redis' and Kafka's protocols, so one proxy serves all three.
//
// Deliberately not done: parsing the protocols. A text split over two packets is not seen; commands
// are far shorter than a packet.
import type { TestContext } from "node:test";
import { startProxy } from "@stampede/launcher/testing";
import type { OpenReader } from "@stampede/launcher/testing";

export type TcpProxy = {
  readonly port: number;
  /** The same address, through the proxy. */
  through(url: string): string;
  /**
   * Cuts the reply to the next command that contains `text`; resolves once it was cut. Rejects where
   * there was none within 10 s: a fault that never fired proves nothing.
   */
  cutReplyTo(text: string): Promise<void>;
  /** Resets all connections and refuses new ones. */
  goAway(): void;
  /** Keeps all connections and forwards nothing more. */
  fallSilent(): void;
  comeBack(): void;
};

const FIRE_MS_MAX = 10_000;

/** Listens on a free port of 127.0.0.1 and forwards to the host and port of `url`. */
export async function startTcpProxy(t: TestContext, url: string): Promise<TcpProxy> {
  const texts: string[] = [];
  let pending = 0;
  const reader: OpenReader = () => {
    let isMeant = false;
    return {
      request(chunk) {
        const index = texts.findIndex((text) => chunk.includes(text));
        if (index >= 0) isMeant = texts.splice(index, 1).length > 0;
      },
      reply(bytes) {
        const counts = isMeant;
        isMeant = false;
        if (counts) pending -= 1;
        return [{ bytes, counts }];
      },
    };
  };
  const proxy = await startProxy(t, { port: Number(new URL(url).port), reader });
  let isSilent = false;
  return {
    port: proxy.port,
    through: proxy.through,
    async cutReplyTo(text) {
      texts.push(text);
      pending += 1;
      const { sprung } = proxy.cutReply(pending);
      const late = Promise.withResolvers<never>();
      const timer = setTimeout(() => {
        late.reject(new Error(`no reply to ${text} passed in ${FIRE_MS_MAX} ms: nothing was cut`));
      }, FIRE_MS_MAX);
      await Promise.race([sprung, late.promise]);
      clearTimeout(timer);
    },
    goAway: proxy.away,
    fallSilent() {
      isSilent = true;
      proxy.set({ blackhole: true });
    },
    comeBack() {
      // What was kept back must not arrive now: both sides start anew.
      if (isSilent) proxy.resetAll();
      isSilent = false;
      proxy.heal();
    },
  };
}
