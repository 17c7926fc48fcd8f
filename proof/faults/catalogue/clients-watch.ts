// L6, N7, N8: a thousand watch a sale; all see its end, in order, each costs the service little, and those
// who claim meanwhile hardly notice; nor do they notice those who never read. WATCHERS=10000 shows more.
// That one over the cap is turned away, and that those who do not read are dropped at the bounded buffer,
// is in packages/api/test/stream-bounds.test.ts: here the kernel's buffers would take minutes to fill.
//
// Red when the feed tells only some of an event's watchers (`of topic.watchers` in its `tell`),
// or when frames go back (`next.id <= topic.last.id`).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { test } from "node:test";
import { figuresOf } from "@stampede/lab";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { faultRows } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  unsettled,
  until,
  verdict,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const WATCHERS = Number(process.env["WATCHERS"] ?? 1_000);
const DEAF = 100;
const PEOPLE = 400;
/** Sold within three quarters of the time in which they come: nearly each of these claims is a change. */
const LIMIT = 300;
const SPREAD_MS = 4_000;
const TIMES_SLOWER_MAX = 2;
/** What a busy machine adds to one of two equal figures. */
const NOISE_MS = 250;
/**
 * Beside other tests on two cores the figure is theirs (seen for v1: 1,051 ms after 190):
 * it is told always, and judged by `npm run faults -- N7`.
 */
const isAlone = process.env["STAMPEDE_FAULT_ONLY"] !== undefined;
/**
 * Two cores run the service, its engines, a thousand watchers, these claims and another test file: one
 * stall of theirs is the p99 of 400 claims (seen: 1,051 ms after 190). It lies in one part, or two, of
 * the time; what watchers cost lies in each.
 */
const PARTS = 4;
const STREAM_KIB_MAX = 20;
/** What a process that has just begun to work takes by itself. */
const NOISE_MIB = 48;
/** Come first of all: a program that has just started is no measure. */
const WARMING_UP = 100;

type Frame = { readonly id: number; readonly issued: number; readonly state: string };
type Watcher = { readonly socket: Socket; readonly frames: Frame[] };

test(`${WATCHERS} watchers of a sale`, { skip: engineMissing }, async (t) => {
  const program = await startProgram(t);
  for (const mechanism of MECHANISMS) {
    await t.test(`${mechanism}: all see the end, in order`, async (t) => {
      const [watched, unread] = faultRows(t, [
        { row: "N7", mechanism, fault: `${WATCHERS} streams watch a sale` },
        { row: "N8", mechanism, fault: `${DEAF} streams that never read, beside ${WATCHERS}` },
      ]);
      const calm = await openSale(program, { mechanism, limit: WARMING_UP + LIMIT });
      await claimAtOnce(calm, people(WARMING_UP));
      const before = await claimAtOnce(calm, people(PEOPLE), { spreadMs: SPREAD_MS });
      const sale = await openSale(program, { mechanism, limit: LIMIT });
      const residentMiB = residentOf(program);
      const watchers = Array.from({ length: WATCHERS }, () => watch(sale));
      const deaf = Array.from({ length: DEAF }, () => ask(sale));
      t.after(() => {
        for (const socket of [...watchers.map(({ socket }) => socket), ...deaf]) socket.destroy();
      });
      await until(
        () => watchers.every(({ frames }) => frames.length > 0),
        "everybody's first frame",
      );
      watched!.injected(WATCHERS);
      unread!.injected(DEAF);
      const growthMiB = residentOf(program) - residentMiB;
      const streams = WATCHERS + DEAF;
      t.diagnostic(`${Math.round(growthMiB)} MiB more with ${streams} streams`);
      const mostMiB = NOISE_MIB + (streams * STREAM_KIB_MAX) / 1_024;
      assert.ok(growthMiB < mostMiB, `${growthMiB} of ${mostMiB} MiB`);
      const claims = await claimAtOnce(sale, people(PEOPLE), { spreadMs: SPREAD_MS });
      const answeredMs = performance.now();
      await until(
        () => watchers.every(({ frames }) => frames.at(-1)?.state === "sold-out"),
        "everybody sees the end",
      );
      watched!.recovered("L6", performance.now() - answeredMs);
      for (const { frames } of watchers) {
        assert.equal(frames.at(-1)?.issued, LIMIT);
        for (const [n, frame] of frames.slice(1).entries()) {
          assert.ok(frame.id > frames[n]!.id && frame.issued >= frames[n]!.issued);
        }
      }
      const [calmMs, watchedMs] = [steadyP99Ms(before), steadyP99Ms(claims)];
      t.diagnostic(`claims: p99 ${calmMs} ms before, ${watchedMs} ms while they watch`);
      const mostMs = TIMES_SLOWER_MAX * calmMs + NOISE_MS;
      if (isAlone) assert.ok(watchedMs < mostMs, `${watchedMs} ms after ${calmMs} ms`);
      const asked = await askEverybody(sale, claims);
      assert.deepEqual(unsettled(asked), []);
      const { violations } = await verdict(sale, [...claims, ...asked]);
      watched!.judged(claims, violations.length);
      assert.deepEqual(violations, []);
    });
  }
});

/** The p99 of the second quietest part of the time in which these claims came. */
function steadyP99Ms(claims: readonly Attempt[]): number {
  const inOrder = claims.toSorted((one, other) => one.sentMs - other.sentMs);
  const size = Math.ceil(inOrder.length / PARTS);
  const p99s = Array.from(
    { length: PARTS },
    (_, part) => figuresOf(inOrder.slice(part * size, (part + 1) * size)).p99Ms,
  );
  return p99s.toSorted((one, other) => one - other)[1]!;
}

function watch(sale: Sale): Watcher {
  const socket = ask(sale);
  const frames: Frame[] = [];
  let rest = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const [, id, data] = /^id: (\d+)\nevent: progress\ndata: (.*)$/m.exec(part) ?? [];
      if (data !== undefined) frames.push({ ...JSON.parse(data), id: Number(id) });
    }
  });
  return { socket, frames };
}

/** Asks for the stream and, as long as nobody listens to the socket, reads nothing of it. */
function ask({ eventId, target }: Sale): Socket {
  const socket = connect(target.port, target.address);
  socket.on("error", () => undefined);
  // HTTP/1.0, so that the text is not cut into chunks.
  socket.write(`GET /events/${eventId}/stream HTTP/1.0\r\nHost: ${target.authority}\r\n\r\n`);
  return socket;
}

function residentOf({ pid }: Program): number {
  // Elsewhere than on Linux nothing tells it this simply, and nothing is judged.
  if (process.platform !== "linux") return 0;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024;
}
