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
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { Places } from "../places.ts";
import { continueTree, descriptorsOf, serversOf, stopTree } from "../support/processes.ts";
import { claimOn, openRaw, withoutAnswer } from "../support/raw-claim.ts";
import { claimUntilAnswered, openSale, people, tally } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

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

const tooMany = {
  mechanisms: MECHANISMS,
  runs: "all",
  needs: ["proc"],
  place: "shared",
} as const;

export const tooManyCases: readonly FaultCase[] = [
  {
    ...tooMany,
    id: "N10",
    injects: "people connect beyond the listen queue",
    holds: "who does not fit into it has not claimed, and all others can",
    run: fillListenQueue,
  },
  {
    ...tooMany,
    id: "N11",
    injects: `the process may open ${DESCRIPTORS_LEFT} more descriptors`,
    holds: "people are shed, and served once there are descriptors again",
    run: useUpDescriptors,
  },
];

type Shared = Stage<Places["shared"]>;

async function fillListenQueue(stage: Shared): Promise<void> {
  const { program } = stage.at;
  const sales = await openSales(stage);
  stopTree(program.pid);
  // Whatever goes wrong below, a stopped process cannot be ended by SIGTERM.
  stage.t.after(() => continueTree(program.pid));
  const queueLength = Math.min(BACKLOG, kernelNumber("net/core/somaxconn"));
  const queues = serversOf(program.pid).length;
  const opened = people(queues * queueLength + BEYOND).map((person, n) => {
    const sale = sales[n % sales.length]!;
    return { sale, person, socket: openRaw(stage.t, sale) };
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
  happened(outside!.length > 0, "nobody was left outside");
  for (const { socket } of outside!) socket.destroy();
  const claims = inside!.map(async ({ sale, person, socket }) => claimOn(socket, sale, person));
  continueTree(program.pid);
  const sentMs = performance.now();
  const answers = await Promise.all(claims);
  const { refused = 0, unknown = 0 } = tally(answers);
  assert.equal(refused + unknown, 0, "all in the queue are answered");
  await Promise.all(
    sales.map(async (sale) => {
      const left = outside!.filter((one) => one.sale === sale);
      stage.notes(sale.mechanism).injected(left.length);
      await finish(stage, sale, [
        ...left.map(({ person }) => withoutAnswer(sale, person, { sentMs, fault: "unsent" })),
        ...answers.filter(({ eventId }) => eventId === sale.eventId),
      ]);
    }),
  );
}

async function useUpDescriptors(stage: Shared): Promise<void> {
  const { program } = stage.at;
  const within = { spreadMs: 0, deadlineMs: DEADLINE_MS };
  for (const sale of await openSales(stage)) {
    const few = await claimUntilAnswered(sale, people(FEW), within);
    const before = limitDescriptors(program, (pid) => descriptorsOf(pid) + DESCRIPTORS_LEFT);
    const persons = people(CROWD);
    const opened = persons.map((person) => ({ person, socket: openRaw(stage.t, sale) }));
    const crowd = await Promise.all(
      opened.map(async ({ person, socket }) => {
        await once(socket, "connect");
        return claimOn(socket, sale, person);
      }),
    );
    const { refused = 0, unknown = 0 } = tally(crowd);
    happened(refused + unknown > 0, "nobody was shed");
    stage.notes(sale.mechanism).injected(refused + unknown);
    const healedMs = performance.now();
    const after = await claimUntilAnswered(sale, people(FEW), within);
    limitDescriptors(program, () => before);
    const again = await claimUntilAnswered(sale, persons, within);
    await finish(stage, sale, [...few, ...crowd, ...after, ...again], { healedMs });
  }
}

async function openSales({ at, mechanisms }: Shared): Promise<readonly Sale[]> {
  return Promise.all(
    mechanisms.map(async (mechanism) => openSale(at.program, { mechanism, limit: LIMIT })),
  );
}

/** Of each server process, the soft limit alone: it may be raised again. Gives what it was. */
function limitDescriptors({ pid }: Program, count: (pid: number) => number): number {
  let before = 0;
  for (const one of serversOf(pid)) {
    const limits = readFileSync(`/proc/${one}/limits`, "utf8");
    before = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
    execFileSync("prlimit", [`--pid=${one}`, `--nofile=${count(one)}:`]);
  }
  return before;
}

function kernelNumber(path: string): number {
  return Number(readFileSync(`/proc/sys/${path}`, "utf8"));
}
