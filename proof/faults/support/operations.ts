// An operator's requests.
import assert from "node:assert/strict";
import type { Program } from "../../support/program.ts";
import type { Mechanism } from "../mechanisms.ts";
import type { Sale } from "./sale.ts";

/** What `GET /events/{id}` shows, as far as the cases need it. */
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
  const body = { name: "An event of the operations' cases", ...wanted };
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
