// N2: people hang up before their request ends, while their claim waits (for the event's row in v1 and
// v2, for Kafka's ack in v3), and after the commit without having read the answer.
//
// Half a request does nothing. A hang-up later on is no way to take a claim back: the row may come, and
// whoever claims again finds it (fact F7 of docs/dictionary.md: a lost connection cancels nothing).
//
// Red when a claim is applied before its request is whole (a claim's body is parsed before its handler
// runs), or when a retry does not find the row that is there (`facts.mine` in decideClaim; the member
// check in redis-counter/claim.lua; `reading.mine` in kafka-queue-issuer.ts).
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { MECHANISMS, queues, only } from "../mechanisms.ts";
import { whileRowHeld } from "../support/held-row.ts";
import type { ProxiedProgram } from "../support/proxy-program.ts";
import { openRaw, withoutAnswer } from "../support/raw-claim.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  readStored,
  tally,
} from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const LIMIT = 60;
/** Come in the end and take what is left. */
const CROWD = 100;
const AT_EACH_MOMENT = 10;
const CONNECT_MS_MAX = 5_000;
const RETRY_MS_MAX = 10_000;

const CAME_LATER = "a row came for a person who had hung up and never asked again";
const FOUND = "a retry found the row of a claim whose answer nobody read";

export const hangUpCase: FaultCase = {
  id: "N2",
  mechanisms: MECHANISMS,
  apart: true,
  injects: "clients hang up before the request ends, while it waits, after the commit",
  holds: "half a request does nothing, a whole one at most once",
  runs: "proof",
  expects: [CAME_LATER, FOUND],
  place: "proxied",
  async run(stage) {
    const { at } = stage;
    const sale = await openSale(at.program, { mechanism: only(stage), limit: LIMIT });
    const hanging = { ...stage, sale };
    const early = await hangUpEarly(hanging);
    const { told: waited, away } = await hangUpWaiting(at, hanging);
    const late = await hangUpAfterCommit(hanging);
    const crowd = await claimAtOnce(sale, people(CROWD));
    const { rows } = await finish(stage, sale, [...early, ...waited, ...late, ...crowd]);
    if (rows.some(({ userId }) => away.includes(userId))) stage.met(CAME_LATER);
  },
};

type HangingUp = Pick<Stage, "t" | "injected" | "met"> & { readonly sale: Sale };

type HungUp = { readonly person: string; readonly socket: Socket; readonly sentMs: number };

/** No byte of the ends of these requests is ever sent: the judge takes any row of theirs as wrong. */
async function hangUpEarly(stage: HangingUp): Promise<Attempt[]> {
  const { sale } = stage;
  const requests = (["end", "reset"] as const).flatMap((how) =>
    halfRequests(sale).map((request) => ({ how, request })),
  );
  const names = people(requests.length);
  const opened = await Promise.all(
    requests.map(async ({ request }, n) => sendRaw(stage, names[n]!, request(names[n]!))),
  );
  await hasRead(sale);
  for (const [n, { socket }] of opened.entries()) {
    if (requests[n]!.how === "end") socket.destroy();
    else socket.resetAndDestroy();
  }
  await hasRead(sale);
  stage.injected(opened.length);
  return opened.map(({ person, sentMs }) =>
    withoutAnswer(sale, person, { sentMs, fault: "unsent" }),
  );
}

/** Half of them claim again at once, the others never do; those are `away`. */
async function hangUpWaiting(
  at: ProxiedProgram,
  stage: HangingUp,
): Promise<{ readonly told: readonly Attempt[]; readonly away: readonly string[] }> {
  const { sale } = stage;
  const persons = people(AT_EACH_MOMENT);
  const cut = await whileHeld(at, sale, async (untilWaited) => {
    const opened = await sendWhole(stage, persons);
    await untilWaited();
    await hasRead(sale);
    const lost = hangUp(sale, opened);
    // The claims' connections are gone for the service too before anything is let go.
    await hasRead(sale);
    return lost;
  });
  stage.injected(cut.length);
  const [back, away] = [persons.slice(0, AT_EACH_MOMENT / 2), persons.slice(AT_EACH_MOMENT / 2)];
  const again = await claimUntilAnswered(sale, back, { spreadMs: 0, deadlineMs: RETRY_MS_MAX });
  const { issued = 0, replay = 0, queued = 0 } = tally(again);
  const answered = queues(sale) ? replay + queued : issued + replay;
  assert.equal(answered, back.length, JSON.stringify(tally(again)));
  return { told: [...cut, ...again], away };
}

/** Their answers were sent, and nobody read a byte of them. */
async function hangUpAfterCommit(stage: HangingUp): Promise<Attempt[]> {
  const { sale } = stage;
  const persons = people(AT_EACH_MOMENT);
  const opened = await sendWhole(stage, persons);
  await until(async () => {
    const { rows } = await readStored(sale);
    const stored = new Set(rows.map(({ userId }) => userId));
    return persons.every((person) => stored.has(person));
  }, "the rows of all who are about to hang up are committed");
  const cut = hangUp(sale, opened);
  stage.injected(cut.length);
  const again = await claimAtOnce(sale, persons);
  assert.deepEqual(tally(again), { replay: persons.length });
  stage.met(FOUND);
  return [...cut, ...again];
}

/**
 * Runs while no claim of the sale can be answered: another session holds its row, or the ack of the
 * next Produce is on its way. `untilWaited` resolves when a claim waits for that.
 */
async function whileHeld<Value>(
  { kafka }: ProxiedProgram,
  sale: Sale,
  run: (untilWaited: () => Promise<void>) => Promise<Value>,
): Promise<Value> {
  if (queues(sale)) {
    const trap = kafka.holdReply(1);
    try {
      return await run(async () => until(trap.isSprung, "a Produce waits for its ack"));
    } finally {
      trap.release();
    }
  }
  return whileRowHeld(sale, run);
}

/** Claims that lack their end: in the line, in the head, in the body, and in the last chunk. */
function halfRequests({ claimPath, target }: Sale): ((person: string) => string)[] {
  const head = (person: string): string =>
    `POST ${claimPath} HTTP/1.1\r\nHost: ${target.authority}\r\nX-User-Id: ${person}\r\n`;
  return [
    (person) => head(person).slice(0, 20),
    (person) => `${head(person)}Content-Length: 0\r\n`,
    (person) => `${head(person)}Content-Length: 2\r\n\r\n{`,
    (person) => `${head(person)}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n`,
  ];
}

async function sendWhole(stage: HangingUp, persons: readonly string[]): Promise<HungUp[]> {
  const { claimPath, target } = stage.sale;
  const request = (person: string): string =>
    `POST ${claimPath} HTTP/1.1\r\nHost: ${target.authority}\r\n` +
    `X-User-Id: ${person}\r\nContent-Length: 0\r\n\r\n`;
  return Promise.all(persons.map(async (person) => sendRaw(stage, person, request(person))));
}

/** Sends and reads nothing: paused before it connects, so that no byte of an answer is taken. */
async function sendRaw({ t, sale }: HangingUp, person: string, bytes: string): Promise<HungUp> {
  const socket = openRaw(t, sale).pause();
  await once(socket, "connect", { signal: AbortSignal.timeout(CONNECT_MS_MAX) });
  const sentMs = performance.now();
  await new Promise((written) => socket.write(bytes, written));
  return { person, socket, sentMs };
}

function hangUp(sale: Sale, opened: readonly HungUp[]): Attempt[] {
  for (const { socket } of opened) socket.resetAndDestroy();
  return opened.map(({ person, sentMs }) =>
    withoutAnswer(sale, person, { sentMs, fault: "reset" }),
  );
}

/** One answer later the service has seen all that reached its sockets before the question. */
async function hasRead({ program }: Sale): Promise<void> {
  const answer = await fetch(`${program.url}/healthz`);
  assert.equal(answer.status, 200, await answer.text());
}
