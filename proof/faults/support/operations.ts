// What the rows of operations share: an operator's requests, and the end of a sale whose event was
// changed, made again or moved: everybody has a final answer, and the referee over all of it.
import assert from "node:assert/strict";
import type { Attempt, Mechanism } from "@stampede/lab";
import { judge } from "@stampede/lab/referee";
import type { Program } from "../../support/program.ts";
import { readLog } from "./kafka-operator.ts";
import { queueOf, topicOf } from "./kafka-sale.ts";
import type { Row } from "./row.ts";
import { askEverybody, readStored, unsettled } from "./sale.ts";
import type { Sale } from "./sale.ts";

/** What `GET /events/{id}` shows, as far as these rows need it. */
export type EventSeen = {
  readonly id: string;
  readonly mechanism: Mechanism;
  readonly limit: number;
  readonly issued: number;
  readonly remaining: number;
  readonly version: number;
  readonly claim: string;
};

export type OperatorAnswer = {
  readonly status: number;
  /** Such as "event-exists"; null where it is no problem. */
  readonly problem: string | null;
  /** Null for a problem. */
  readonly event: EventSeen | null;
  readonly sentMs: number;
  readonly returnedMs: number;
};

export type EventWanted = {
  readonly id: string;
  readonly mechanism: Mechanism;
  readonly limit: number;
  readonly pace?: number;
};

/** `POST /events`; rejects where no answer came. */
export async function makeEvent(program: Program, wanted: EventWanted): Promise<OperatorAnswer> {
  const body = { name: "An event of the operations' rows", ...wanted };
  return operate(program, "/events", { method: "POST", body: JSON.stringify(body) });
}

/** `PATCH /events/{id}` of the version that the operator has read. */
export async function changeEvent(
  program: Program,
  { id, version }: Pick<EventSeen, "id" | "version">,
  change: Readonly<Record<string, unknown>>,
): Promise<OperatorAnswer> {
  const request = { method: "PATCH", body: JSON.stringify(change) };
  return operate(program, `/events/${id}`, request, { "if-match": `"${version}"` });
}

/** Null where there is no such event. */
export async function readEvent({ url }: Program, id: string): Promise<EventSeen | null> {
  const answer = await fetch(`${url}/events/${id}`);
  const body = await answer.json();
  if (answer.status === 404) return null;
  assert.equal(answer.status, 200, JSON.stringify(body));
  return body as EventSeen;
}

/** An event that is there already, as something that people can claim from. */
export function saleOf(program: Program, event: EventSeen): Sale {
  const { id: eventId, mechanism, limit, claim: claimPath } = event;
  const { hostname, port, host } = new URL(program.url);
  const target = { address: hostname, port: Number(port), authority: host };
  return { program, eventId, mechanism, limit, claimPath, target };
}

export type Judged = {
  readonly row: Row;
  readonly told: readonly Attempt[];
  /** Those who have no final answer to come: turned away at a door that stays shut. */
  readonly leftOut?: ReadonlySet<string>;
  readonly limitAtStart?: number;
  readonly closesAt?: string;
  /** Where its log is, if it has one. */
  readonly brokers: string;
};

/** Everybody asks, and the referee judges all that anybody was told. Gives how many rows there are. */
export async function endSale(sale: Sale, judged: Judged): Promise<number> {
  const { row, told, leftOut = new Set() } = judged;
  const asking = told.filter(({ person }) => !leftOut.has(person));
  const fromMs = performance.now();
  const asked = await askEverybody(sale, asking);
  assert.deepEqual(unsettled(asked), [], `${sale.mechanism}: L2, everybody has a final answer`);
  row.recovered("L2", Math.round(performance.now() - fromMs));
  const { issued, rows } = await readStored(sale);
  const { eventId, mechanism, limit } = sale;
  const history = [...told, ...asked].map((attempt, id) => ({ ...attempt, id }));
  const { log, ...queue } = await queueFacts(sale, judged.brokers, issued);
  const { limitAtStart = limit, closesAt = null } = judged;
  const event = { eventId, mechanism, limit, limitAtStart, closesAt, issued, ...queue };
  const run = { events: [event], history, rows: rows.map((one) => ({ ...one, eventId })), log };
  const findings = judge(run);
  row.judged(history, findings.length);
  assert.deepEqual(findings, [], mechanism);
  return rows.length;
}

/** What the referee reads of a queue; nothing for an event that has none. */
async function queueFacts(sale: Sale, brokers: string, issued: number) {
  if (sale.mechanism !== "kafka-queue") return { log: new Map<string, never[]>() };
  const { nextOffset: decided, lastWinningTicket: last } = await queueOf(sale);
  const records = (await readLog(await topicOf({ sale, brokers }))).map((record) => ({
    eventId: sale.eventId,
    offset: record.offset,
    key: record.key?.toString() ?? null,
    value: record.value?.toString() ?? null,
  }));
  // Nobody is told the last winning ticket before it is the last (S25).
  const lastWinningTicket = issued === sale.limit ? last : null;
  return { decided, lastWinningTicket, log: new Map([[sale.eventId, records]]) };
}

async function operate(
  { url, adminToken }: Program,
  path: string,
  request: Pick<RequestInit, "method" | "body">,
  headers: Readonly<Record<string, string>> = {},
): Promise<OperatorAnswer> {
  const operator = { authorization: `Bearer ${adminToken}`, "content-type": "application/json" };
  const sentMs = performance.now();
  const answer = await fetch(`${url}${path}`, {
    ...request,
    headers: { ...operator, ...headers },
  });
  const body = (await answer.json()) as EventSeen & { readonly type?: string };
  const returnedMs = performance.now();
  const { status } = answer;
  if (status < 400) return { status, problem: null, event: body, sentMs, returnedMs };
  const problem = body.type?.replace("/problems/", "") ?? "none";
  return { status, problem, event: null, sentMs, returnedMs };
}
