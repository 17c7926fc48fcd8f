import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";

/**
 * Closing cuts idle connections, and one whose request has come but was not read yet looks idle: a
 * thousand claims of the same instant were all reset unanswered. So the server goes on reading for
 * a moment first, and tells whoever comes now that nothing was applied.
 */
const LISTEN_ON_MS = 500;
/** A shutdown ends within ten seconds: this long for those who wait ... */
const FINISH_MS_MAX = 6_500;
/** ... this long until connections are cut, whatever is on them ... */
const CUT_MS_MAX = 8_000;
/** ... and this long until the process ends, whatever it still waits for. */
export const STOP_MS_MAX = 9_500;

/** Resolves at the first SIGINT or SIGTERM; the second one ends the process at once. */
export async function untilStopped(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (signal: NodeJS.Signals): void => {
      signals += 1;
      if (signals > 1) {
        log.warn({ signal }, "the server ends at once: this is the second signal to stop");
        process.exit(1);
      }
      log.info({ signal }, "the server stops: it takes no new claims and answers those under way");
      resolve();
    };
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  });
}

/**
 * Answers what is on its way already, then stops listening, ends the streams and finishes the
 * requests under way. `turnAway` is called when those who still wait in line must be told that
 * nothing was applied.
 */
export async function drain(app: FastifyInstance, turnAway: () => void): Promise<void> {
  const tell = setTimeout(turnAway, FINISH_MS_MAX);
  const cut = setTimeout(() => app.server.closeAllConnections(), CUT_MS_MAX);
  await sleep(LISTEN_ON_MS);
  // A connection becomes idle when its answer is sent, which may be after the server began to close.
  const sweep = setInterval(() => app.server.closeIdleConnections(), 100);
  try {
    await app.close();
  } finally {
    clearTimeout(tell);
    clearTimeout(cut);
    clearInterval(sweep);
  }
}
