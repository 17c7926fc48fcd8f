// N6: 2,000 clients send a byte of a request's head every five seconds, for as long as they are let. The
// service closes them in time, and those who claim meanwhile hardly notice.
//
// Red when a head may take for ever (`headersTimeout` in app.ts), or is looked at too rarely
// (`connectionsCheckingInterval`, by default 30 s).
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { latencyOf } from "@stampede/lab/compare";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { claimAtOnce, openSale, people } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const SLOW_CLIENTS = 2_000;
const BYTE_EVERY_MS = 5_000;
const CLOSED_MS_MAX = 45_000;
const CONNECT_MS_MAX = 5_000;
const POLL_MS = 50;
/** At each mechanism, once before the slow clients come and once among them. */
const PEOPLE = 300;
const SPREAD_MS = 4_000;
const LIMIT = 600;
/** Come first of all: a program that has just started is no measure. */
const WARMING_UP = 100;
const TIMES_SLOWER_MAX = 2;
/** A few milliseconds are no measure: the machine itself makes so small a p99 jump to twice. */
const NOISE_MS = 20;

export const slowClientsCase: FaultCase = {
  id: "N6",
  mechanisms: MECHANISMS,
  injects: `${SLOW_CLIENTS} sockets send a byte of a head every ${BYTE_EVERY_MS} ms`,
  holds: "they are closed in time, and others hardly notice",
  runs: "all",
  place: "shared",
  async run(stage) {
    const sales: Sale[] = [];
    const warming: Attempt[][] = [];
    const before: Attempt[][] = [];
    for (const mechanism of stage.mechanisms) {
      const sale = await openSale(stage.at.program, { mechanism, limit: LIMIT });
      sales.push(sale);
      warming.push(await claimAtOnce(sale, people(WARMING_UP), { spreadMs: WARMING_UP }));
      before.push(await claimAtOnce(sale, people(PEOPLE), { spreadMs: SPREAD_MS }));
    }
    const openedMs = performance.now();
    const slow = await Promise.all(
      Array.from({ length: SLOW_CLIENTS }, async () => openSlowly(stage, sales[0]!)),
    );
    stage.injected(SLOW_CLIENTS);
    for (const [n, sale] of sales.entries()) {
      const among = await claimAtOnce(sale, people(PEOPLE), { spreadMs: SPREAD_MS });
      const open = slow.filter(({ isOpen }) => isOpen()).length;
      happened(open === SLOW_CLIENTS, `${open} of the slow clients were there all the time`);
      const [calmMs, amongMs] = [p99Ms(before[n]!), p99Ms(among)];
      const told = `${sale.mechanism}: p99 ${calmMs} ms before, ${amongMs} ms among slow clients`;
      stage.t.diagnostic(told);
      assert.ok(amongMs < TIMES_SLOWER_MAX * calmMs + NOISE_MS, told);
      await finish(stage, sale, [...warming[n]!, ...before[n]!, ...among]);
    }
    while (slow.some(({ isOpen }) => isOpen())) {
      assert.ok(performance.now() < openedMs + CLOSED_MS_MAX, "slow clients are closed in time");
      await pause(POLL_MS);
    }
    stage.t.diagnostic(`closed after ${Math.round(performance.now() - openedMs)} ms`);
  },
};

type SlowClient = { readonly isOpen: () => boolean };

/** Sends a byte now and one every five seconds, until the service closes the connection. */
async function openSlowly({ t }: Stage, { claimPath, target }: Sale): Promise<SlowClient> {
  const head = `POST ${claimPath} HTTP/1.1\r\nHost: ${target.authority}\r\n`;
  const socket = connect(target.port, target.address);
  // The service closes it while a byte is on its way: that is what this case waits for.
  socket.on("error", () => undefined).resume();
  await once(socket, "connect", { signal: AbortSignal.timeout(CONNECT_MS_MAX) });
  let sent = 0;
  const sendByte = (): void => void socket.write(head.charAt(sent++));
  sendByte();
  const timer = setInterval(sendByte, BYTE_EVERY_MS);
  let open = true;
  socket.on("close", () => {
    clearInterval(timer);
    open = false;
  });
  t.after(() => socket.destroy());
  return { isOpen: () => open };
}

/** From each claim's own sending: these people come when they come, and nobody is due. */
export function p99Ms(claims: readonly Attempt[]): number {
  const answered = claims.filter(({ status }) => status !== null);
  return latencyOf(answered.map(({ sentMs, returnedMs }) => returnedMs - sentMs)).p99;
}
