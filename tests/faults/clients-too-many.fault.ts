// N10, N11: more people connect than the service can take: beyond its listen queue, which the kernel
// keeps, while the process is stopped; and beyond its file descriptors. Who does not get in has not
// claimed anything; all others are answered, and afterwards everybody is served.
//
// N10 is red when the listen queue is shorter than the kernel allows (`BACKLOG` in listening.ts: Node's
// default is 511). N11 is red when the process ends or stops accepting for good (an EMFILE that nobody
// handles).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { continueTree, descriptorsOf, procMissing, stopTree } from "./support/processes.ts";
import { finishRow } from "./support/proxy-program.ts";
import { claimOn, openRaw, withoutAnswer } from "./support/raw-claim.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import {
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  tally,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const LIMIT = 100;
/** `BACKLOG` in listening.ts. */
const BACKLOG = 4_096;
const BEYOND = 200;
/** The kernel answers a connect at once, or drops it and hears it again after a second. */
const CONNECT_MS_MAX = 800;
/** What the process may open beyond what it has open when the limit falls. */
const DESCRIPTORS_LEFT = 40;
const CROWD = 300;
/** Few enough for the low limit. */
const FEW = 20;
const DEADLINE_MS = 20_000;

const skip = engineMissing || procMissing;

describe("more people connect than the service can take", { skip }, () => {
  test("N10: who does not fit into the listen queue has not claimed; all others can", async (t) => {
    const program = await startProgram(t);
    const listed = await openSales(t, program, "N10", "people connect beyond the listen queue");
    stopTree(program.pid);
    // Whatever goes wrong below, a stopped process cannot be ended by SIGTERM.
    t.after(() => continueTree(program.pid));
    const queueLength = Math.min(BACKLOG, kernelNumber("net/core/somaxconn"));
    const persons = people(queueLength + BEYOND);
    const opened = persons.map((person, n) => {
      const { sale, row } = listed[n % listed.length]!;
      return { sale, row, person, socket: openRaw(t, sale) };
    });
    await Promise.allSettled(
      opened.map(async ({ socket }) =>
        once(socket, "connect", { signal: AbortSignal.timeout(CONNECT_MS_MAX) }),
      ),
    );
    const [inside, outside] = [true, false].map((isOpen) =>
      opened.filter(({ socket }) => (socket.readyState === "open") === isOpen),
    );
    assert.ok(inside!.length >= queueLength, `${inside!.length} fit into ${queueLength} places`);
    assert.ok(outside!.length > 0, "nobody was left outside: nothing was injected");
    for (const { socket } of outside!) socket.destroy();
    const claims = inside!.map(async ({ sale, person, socket }) => claimOn(socket, sale, person));
    continueTree(program.pid);
    const healedMs = performance.now();
    const answers = await Promise.all(claims);
    const { refused = 0, unknown = 0 } = tally(answers);
    assert.deepEqual(
      { refused, unknown },
      { refused: 0, unknown: 0 },
      "all in the queue are answered",
    );
    // Thousands were answered one after the other: what is left to be finished counts from the last.
    const answeredMs = performance.now();
    const ends = listed.map(async ({ sale, row }) => {
      const left = outside!.filter((one) => one.sale === sale);
      row.injected(left.length);
      const told = [
        ...left.map(({ person }) =>
          withoutAnswer(sale, person, { sentMs: healedMs, fault: "unsent" }),
        ),
        ...answers.filter(({ eventId }) => eventId === sale.eventId),
      ];
      await finishRow(row, sale, told, answeredMs);
    });
    await Promise.all(ends);
  });

  test("N11: without descriptors people are shed, and served once there are some again", async (t) => {
    const program = await startProgram(t);
    const listed = await openSales(t, program, "N11", "the process may open 40 more descriptors");
    for (const { sale, row } of listed) {
      const few = await claimUntilAnswered(sale, people(FEW), {
        spreadMs: 0,
        deadlineMs: DEADLINE_MS,
      });
      const before = limitDescriptors(program, descriptorsOf(program.pid) + DESCRIPTORS_LEFT);
      const persons = people(CROWD);
      const opened = persons.map((person) => ({ person, socket: openRaw(t, sale) }));
      const crowd = await Promise.all(
        opened.map(async ({ person, socket }) => {
          await once(socket, "connect");
          return claimOn(socket, sale, person);
        }),
      );
      const { refused = 0, unknown = 0 } = tally(crowd);
      assert.ok(refused + unknown > 0, "nobody was shed: nothing was injected");
      row.injected(refused + unknown);
      const healedMs = performance.now();
      const options = { spreadMs: 0, deadlineMs: DEADLINE_MS };
      const after = await claimUntilAnswered(sale, people(FEW), options);
      limitDescriptors(program, before);
      const again = await claimUntilAnswered(sale, persons, options);
      await finishRow(row, sale, [...few, ...crowd, ...after, ...again], healedMs);
    }
  });
});

type Listed = { readonly sale: Sale; readonly row: Row };

async function openSales(
  t: TestContext,
  program: Program,
  row: "N10" | "N11",
  fault: string,
): Promise<Listed[]> {
  const listed: Listed[] = [];
  for (const mechanism of MECHANISMS) {
    const declared = faultRow(t, { row, mechanism, fault });
    listed.push({ row: declared, sale: await openSale(program, { mechanism, limit: LIMIT }) });
  }
  return listed;
}

/** Of a running process, the soft limit alone: it may be raised again. Gives what it was. */
function limitDescriptors({ pid }: Program, count: number): number {
  const limits = readFileSync(`/proc/${pid}/limits`, "utf8");
  const before = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
  execFileSync("prlimit", [`--pid=${pid}`, `--nofile=${count}:`]);
  return before;
}

function kernelNumber(path: string): number {
  return Number(readFileSync(`/proc/sys/${path}`, "utf8"));
}
