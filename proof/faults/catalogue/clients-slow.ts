// N6: 2,000 clients send a byte of a request's head every five seconds, for as long as they are let. The
// service closes them in time, and those who claim meanwhile hardly notice.
//
// Red when a head may take for ever (`headersTimeout` in app.ts), or is looked at too rarely
// (`connectionsCheckingInterval`, by default 30 s).
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { figuresOf } from "@stampede/lab";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import { finishRow } from "./support/proxy-program.ts";
import { faultRow } from "./support/row.ts";
import { claimAtOnce, engineMissing, MECHANISMS, openSale, people } from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

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

test(
  "N6: slow heads are closed in time, and others hardly notice",
  { skip: engineMissing },
  async (t) => {
    const program = await startProgram(t);
    const fault = `${SLOW_CLIENTS} sockets send a byte of a head every ${BYTE_EVERY_MS} ms`;
    const sales: Sale[] = [];
    const warming: Attempt[][] = [];
    const before: Attempt[][] = [];
    const rows = MECHANISMS.map((mechanism) => faultRow(t, { row: "N6", mechanism, fault }));
    for (const mechanism of MECHANISMS) {
      const sale = await openSale(program, { mechanism, limit: LIMIT });
      sales.push(sale);
      warming.push(await claimAtOnce(sale, people(WARMING_UP), { spreadMs: WARMING_UP }));
      before.push(await claimAtOnce(sale, people(PEOPLE), { spreadMs: SPREAD_MS }));
    }
    const openedMs = performance.now();
    const slow = await Promise.all(
      Array.from({ length: SLOW_CLIENTS }, async () => openSlowly(t, sales[0]!)),
    );
    for (const row of rows) row.injected(SLOW_CLIENTS);
    for (const [n, sale] of sales.entries()) {
      const among = await claimAtOnce(sale, people(PEOPLE), { spreadMs: SPREAD_MS });
      const open = slow.filter(({ isOpen }) => isOpen()).length;
      assert.equal(open, SLOW_CLIENTS, "all of them were there all the time");
      const [calmMs, amongMs] = [figuresOf(before[n]!).p99Ms, figuresOf(among).p99Ms];
      t.diagnostic(`${sale.mechanism}: p99 ${calmMs} ms before, ${amongMs} ms among slow clients`);
      assert.ok(amongMs < TIMES_SLOWER_MAX * calmMs + NOISE_MS, `${amongMs} after ${calmMs} ms`);
      await finishRow(rows[n]!, sale, [...warming[n]!, ...before[n]!, ...among], performance.now());
    }
    while (slow.some(({ isOpen }) => isOpen())) {
      assert.ok(performance.now() < openedMs + CLOSED_MS_MAX, "slow clients are closed in time");
      await pause(POLL_MS);
    }
    t.diagnostic(`closed after ${Math.round(performance.now() - openedMs)} ms`);
  },
);

type SlowClient = { readonly isOpen: () => boolean };

/** Sends a byte now and one every five seconds, until the service closes the connection. */
async function openSlowly(t: TestContext, { claimPath, target }: Sale): Promise<SlowClient> {
  const head = `POST ${claimPath} HTTP/1.1\r\nHost: ${target.authority}\r\n`;
  const socket = connect(target.port, target.address);
  // The service closes it while a byte is on its way: that is what this test waits for.
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
