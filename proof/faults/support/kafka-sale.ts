// What the cases of Kafka share: an event that is halted, its pace and its stream, and sales beside it that
// must not notice anything.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import type { Program } from "../../support/program.ts";
import type { Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { MECHANISMS, queues } from "../mechanisms.ts";
import type { Cleaning } from "./cleaning.ts";
import { queueOf } from "./queue.ts";
import { claimAtOnce, claimUntilAnswered, openSale, people, readStored, tally } from "./sale.ts";
import type { Sale } from "./sale.ts";

const DEADLINE_MS = 40_000;
const POLL_MS = 20;
/**
 * A topic's settings are looked at every ten seconds, a log has to look broken for ten more, and every
 * process reads the halt within a second.
 */
const HALTED_MS_MAX = 30_000;
const STRANDED = 10;
/** Every case that ends in a halt is for this. */
export const HALTED = "an event was halted";
export const UNKNOWN = "a claim's outcome was unknown";

/** What `GET /events/{id}` says of whether claims are taken now. */
export async function isAvailable({ program, eventId }: Sale): Promise<boolean> {
  const answer = await fetch(`${program.url}/events/${eventId}`);
  const { available } = (await answer.json()) as { readonly available: boolean };
  return available;
}

/** As an operator does; counts within a second. */
export async function changePace(sale: Sale, pace: number | null): Promise<void> {
  const url = `${sale.program.url}/events/${sale.eventId}`;
  const etag = (await fetch(url)).headers.get("etag") ?? "";
  const answer = await fetch(url, {
    method: "PATCH",
    headers: {
      authorization: `Bearer ${sale.program.adminToken}`,
      "content-type": "application/json",
      "if-match": etag,
    },
    body: JSON.stringify({ pace }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

/** The state of Kafka as `/readyz` tells it, and its status. */
export async function readiness({ url }: Program): Promise<{ status: number; kafka: string }> {
  const answer = await fetch(`${url}/readyz`);
  const { engines } = (await answer.json()) as { readonly engines: { readonly kafka: string } };
  return { status: answer.status, kafka: engines.kafka };
}

export async function metric({ url }: Program, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (?<value>\\S+)$`, "m").exec(text)?.groups?.["value"]);
}

export type Bystanders = {
  /** Waits for their people, judges, and requires that none of them met a fault. */
  readonly end: () => Promise<void>;
};

/** Sales without Kafka whose people come over all this time: whatever Kafka does is not theirs. */
export async function openBystanders(
  stage: Pick<Stage, "notes">,
  program: Program,
  spreadMs: number,
): Promise<Bystanders> {
  const others = MECHANISMS.filter((mechanism) => !queues({ mechanism }));
  const sales: Sale[] = [];
  for (const mechanism of others) sales.push(await openSale(program, { mechanism, limit: 50 }));
  const crowds = sales.map(async (sale) => claimAll(sale, people(100), spreadMs));
  // A case that fails before it needs them has a reason of its own.
  for (const crowd of crowds) crowd.catch(() => undefined);
  return {
    async end() {
      for (const [n, sale] of sales.entries()) {
        const told = await crowds[n]!;
        const { refused = 0, unknown = 0 } = tally(told);
        assert.deepEqual({ refused, unknown }, { refused: 0, unknown: 0 }, sale.mechanism);
        await finish(stage, sale, told);
      }
    },
  };
}

/** Everybody claims until answered, one after the other within `spreadMs`. */
export async function claimAll(
  sale: Sale,
  persons: readonly string[],
  spreadMs = 200,
): Promise<Attempt[]> {
  return claimUntilAnswered(sale, persons, { spreadMs, deadlineMs: DEADLINE_MS });
}

/** The last frame of the event's stream, read until the case ends (L6). */
export function watchStream(t: Cleaning, sale: Sale): () => Record<string, unknown> {
  const ending = new AbortController();
  let last: Record<string, unknown> = {};
  const watching = (async () => {
    const url = `${sale.program.url}/events/${sale.eventId}/stream`;
    const { body } = await fetch(url, { signal: ending.signal });
    let text = "";
    for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      const data = lines.findLast((line) => line.startsWith("data: "));
      if (data !== undefined) last = JSON.parse(data.slice("data: ".length));
    }
  })();
  t.after(async () => {
    ending.abort();
    // Being cut off is how it ends: by the abort, or by the program that stopped before.
    await watching.catch(() => undefined);
  });
  return () => last;
}

/** What everybody is told who asks now, counted. */
export async function statusesOf(
  { program, eventId }: Sale,
  told: readonly Attempt[],
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const { person, ticket } of told) {
    if (ticket === null) continue;
    const url = `${program.url}/events/${eventId}/issues/me?ticket=${ticket}`;
    const answer = await fetch(url, { headers: { "x-user-id": person } });
    const { status } = (await answer.json()) as { readonly status: string };
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}

/** As an operator does who has seen the event at `tag`, or now. */
export async function voidSale(
  { program, eventId }: Sale,
  tag?: string,
): Promise<{ readonly tag: string; readonly event: unknown }> {
  const url = `${program.url}/events/${eventId}`;
  const seen = tag ?? (await fetch(url)).headers.get("etag") ?? "";
  const answer = await fetch(`${url}/void`, {
    method: "POST",
    headers: { authorization: `Bearer ${program.adminToken}`, "if-match": seen },
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return { tag: seen, event: JSON.parse(text) };
}

/** Waits until the event is halted, and requires that nobody is served any more. */
export async function assertHalts(
  stage: Pick<Stage, "notes">,
  sale: Sale,
  { reason, sinceMs }: { readonly reason: RegExp; readonly sinceMs: number },
): Promise<Attempt[]> {
  // The alarm's metric too, whoever saw it first: the door or the decider.
  const told = async (): Promise<string> =>
    JSON.stringify({
      halted: (await queueOf(sale)).halted !== null,
      available: await isAvailable(sale),
      alarm: (await metric(sale.program, "stampede_queues_halted")) > 0,
    });
  const wanted = JSON.stringify({ halted: true, available: false, alarm: true });
  for (let is = await told(); is !== wanted; is = await told()) {
    const lateMs = performance.now() - sinceMs;
    assert.ok(lateMs < HALTED_MS_MAX, `after ${HALTED_MS_MAX} ms it is not halted: ${is}`);
    await pause(POLL_MS);
  }
  stage.notes(sale.mechanism).met(HALTED);
  const before = await queueOf(sale);
  assert.match(before.halted ?? "", reason);
  const { rows } = await readStored(sale);
  const stranded = await claimAtOnce(sale, people(STRANDED));
  assert.deepEqual(
    stranded.map(({ status, problemType }) => `${status} ${problemType}`),
    Array<string>(STRANDED).fill("503 /problems/unavailable"),
  );
  assert.deepEqual(await queueOf(sale), before, "the mark stays");
  assert.deepEqual((await readStored(sale)).rows, rows, "the rows stay");
  return stranded;
}

/** Claims that were on their way at this moment. */
export function inFlightAt(told: readonly Attempt[], ms: number): readonly Attempt[] {
  return told.filter(({ sentMs, returnedMs }) => sentMs < ms && returnedMs > ms);
}
