// The order of tickets, decided by sweeps, against its definition: every pair of attempts looked at.
// REFEREE_SEED chooses other queues.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import type { Attempt } from "@stampede/referee";
import { drawOf } from "./support/draw.ts";
import type { Draw } from "./support/draw.ts";
import { asked, findingsOf, queued, record, row, unanswered } from "./support/sketch.ts";

const seed = Number(process.env["REFEREE_SEED"] ?? randomInt(0x7fff_ffff));
const queues = 20_000;
const people = ["ana", "ben", "cem"] as const;

type Queue = {
  readonly attempts: readonly Attempt[];
  readonly untold: { person: string; ticket: number } | null;
};

/** Tickets in about the order of time, each told to its person, some asked for again. */
function queueOf(draw: Draw): Queue {
  const attempts: Attempt[] = [];
  let sentMs = 0;
  const count = 2 + draw(5);
  const untold = draw(3) === 0 ? draw(count) : -1;
  for (let ticket = 0; ticket < count; ticket++) {
    sentMs = Math.max(0, sentMs + draw(6) - 1);
    const times = { id: attempts.length, sentMs, returnedMs: sentMs + draw(5) };
    const person = ticket === untold ? "dot" : people[draw(people.length)]!;
    if (ticket === untold) attempts.push(unanswered(person, times));
    else attempts.push(queued(person, ticket, { ...times, ahead: draw(ticket + 1) }));
    if (draw(2) === 0 || ticket === untold) continue;
    const place = { ticket, ahead: draw(ticket + 1), guaranteed: ticket < 2, ticketAsked: ticket };
    const again = sentMs + draw(9);
    const later = { id: attempts.length, sentMs: again, returnedMs: again + draw(4) };
    attempts.push(asked(person, { ...place, ...later, outcome: "queued" }));
  }
  return { attempts, untold: untold < 0 ? null : { person: "dot", ticket: untold } };
}

test("the sweeps over tickets find exactly what looking at every pair finds", (t) => {
  t.diagnostic(`seed ${seed}`);
  const met = { S6: 0, S12: 0, neither: 0 };
  for (let index = 0; index < queues; index++) {
    const { attempts, untold } = queueOf(drawOf(seed, index));
    const event = { mechanism: "kafka-queue", limit: 2 } as const;
    const claims = attempts.filter(({ kind, ticket }) => kind === "claim" && ticket !== null);
    const persons = new Map(claims.map(({ ticket, person }) => [Number(ticket), person]));
    if (untold !== null) persons.set(untold.ticket, untold.person);
    const log = [...persons]
      .sort(([a], [b]) => a - b)
      .map(([ticket, name]) => record(ticket, name));
    const rows = [row(1, "ana", { ticket: 0 })];
    const found = new Set(
      findingsOf({ event, attempts, rows, log }).map(({ invariant }) => invariant),
    );
    const words = `queue ${index} of seed ${seed}`;
    assert.equal(found.has("S6"), isOutOfOrder(attempts, untold), `${words}: S6`);
    assert.equal(found.has("S12"), grows(attempts), `${words}: S12`);
    for (const kind of ["S6", "S12"] as const) if (found.has(kind)) met[kind] += 1;
    if (!found.has("S6") && !found.has("S12")) met.neither += 1;
  }
  t.diagnostic(`${queues} queues: ${JSON.stringify(met)}`);
  for (const times of Object.values(met)) assert.ok(times > queues / 20, JSON.stringify(met));
});

function pairs(attempts: readonly Attempt[]): (readonly [Attempt, Attempt])[] {
  return attempts.flatMap((earlier) =>
    attempts.flatMap((later) =>
      earlier.returnedMs < later.sentMs ? [[earlier, later] as const] : [],
    ),
  );
}

function isOutOfOrder(attempts: readonly Attempt[], untold: Queue["untold"]): boolean {
  const claims = attempts.filter(({ kind }) => kind === "claim");
  return pairs(claims).some(([earlier, later]) => {
    const ticket = later.ticket ?? untold?.ticket ?? Infinity;
    return earlier.ticket !== null && earlier.ticket >= ticket;
  });
}

function grows(attempts: readonly Attempt[]): boolean {
  return pairs(attempts).some(
    ([earlier, later]) =>
      earlier.ticket !== null &&
      earlier.ticket === later.ticket &&
      Number(later.ahead) > Number(earlier.ahead),
  );
}
