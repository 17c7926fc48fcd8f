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
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { MECHANISMS } from "../mechanisms.ts";
import type { Places } from "../places.ts";
import { claimAtOnce, openSale, people } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";
import { p99Ms } from "./clients-slow.ts";

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

export const watcherCases: readonly FaultCase[] = [
  {
    mechanisms: MECHANISMS,
    place: "shared",
    id: "N7",
    injects: `${WATCHERS} streams watch a sale`,
    holds: "all see its end, in order, and those who claim hardly notice",
    runs: "all",
    run: async (stage) => sellWatched(stage, 0),
  },
  {
    mechanisms: MECHANISMS,
    place: "shared",
    id: "N8",
    injects: `${DEAF} streams that never read, beside ${WATCHERS}`,
    holds: "all others see the end, in order, and those who claim hardly notice",
    runs: "proof",
    run: async (stage) => sellWatched(stage, DEAF),
  },
];

type Shared = Stage<Places["shared"]>;

/** One mechanism after the other: the figures are of one sale. */
async function sellWatched(stage: Shared, deaf: number): Promise<void> {
  const { program } = stage.at;
  for (const mechanism of stage.mechanisms) {
    const calm = await openSale(program, { mechanism, limit: WARMING_UP + LIMIT });
    const warming = await claimAtOnce(calm, people(WARMING_UP));
    const before = await claimAtOnce(calm, people(PEOPLE), { spreadMs: SPREAD_MS });
    const sale = await openSale(program, { mechanism, limit: LIMIT });
    const residentMiB = residentOf(program);
    const watchers = Array.from({ length: WATCHERS }, () => watch(sale));
    const sockets = [
      ...watchers.map(({ socket }) => socket),
      ...Array.from({ length: deaf }, () => ask(sale)),
    ];
    const leave = (): void => sockets.forEach((socket) => socket.destroy());
    stage.t.after(leave);
    await until(() => watchers.every(({ frames }) => frames.length > 0), "everybody's first frame");
    stage.notes(mechanism).injected(deaf === 0 ? WATCHERS : deaf);
    assertGrowth(stage, residentOf(program) - residentMiB, sockets.length);
    const claims = await claimAtOnce(sale, people(PEOPLE), { spreadMs: SPREAD_MS });
    const answeredMs = performance.now();
    await until(
      () => watchers.every(({ frames }) => frames.at(-1)?.state === "sold-out"),
      "everybody sees the end",
    );
    stage.notes(mechanism).recovered("L6", performance.now() - answeredMs);
    watchers.forEach(assertOrder);
    leave();
    assertHardlyNoticed(stage, steadyP99Ms(before), steadyP99Ms(claims));
    await finish(stage, calm, [...warming, ...before]);
    await finish(stage, sale, claims);
  }
}

function assertGrowth({ t }: Shared, growthMiB: number, streams: number): void {
  const mostMiB = NOISE_MIB + (streams * STREAM_KIB_MAX) / 1_024;
  t.diagnostic(`${Math.round(growthMiB)} MiB more with ${streams} streams`);
  assert.ok(growthMiB < mostMiB, `${growthMiB} of ${mostMiB} MiB`);
}

function assertOrder({ frames }: Watcher): void {
  assert.equal(frames.at(-1)?.issued, LIMIT);
  for (const [n, frame] of frames.slice(1).entries()) {
    assert.ok(frame.id > frames[n]!.id && frame.issued >= frames[n]!.issued);
  }
}

/**
 * Beside other cases on two cores the figure is theirs (seen for v1: 1,051 ms after 190): it is told
 * always, and judged where the case runs alone, as by `npm run faults -- N7`.
 */
function assertHardlyNoticed({ t, alone }: Shared, calmMs: number, watchedMs: number): void {
  const told = `claims: p99 ${calmMs} ms before, ${watchedMs} ms while they watch`;
  t.diagnostic(told);
  if (alone) assert.ok(watchedMs < TIMES_SLOWER_MAX * calmMs + NOISE_MS, told);
}

/** The p99 of the second quietest part of the time in which these claims came. */
function steadyP99Ms(claims: readonly Attempt[]): number {
  const inOrder = claims.toSorted((one, other) => one.sentMs - other.sentMs);
  const size = Math.ceil(inOrder.length / PARTS);
  const p99s = Array.from({ length: PARTS }, (_, part) =>
    p99Ms(inOrder.slice(part * size, (part + 1) * size)),
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
