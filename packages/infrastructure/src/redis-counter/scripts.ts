import { createHash } from "node:crypto";
import { join } from "node:path";
import type { EventId, UserId } from "@stampede/domain";
import { invariant, parseEventId } from "@stampede/domain";
import type { RedisSession } from "../engines/redis/open.ts";
import { readScript } from "../engines/redis/script.ts";
import type { Script } from "../engines/redis/script.ts";

/** Each header is the script's contract. */
export const claimScript = scriptOf("claim");
export const deleteScript = scriptOf("delete");
export const mergeScript = scriptOf("merge");
export const rebuildScript = scriptOf("rebuild");

/**
 * Raised with every change of a script's text or of what their keys hold. Where builds of two numbers
 * run together the higher one counts, and takes over what the lower one has reserved: it has to be
 * able to read that.
 */
export const SCRIPTS_NUMBER = 2;

/** The number, and the texts themselves: nobody can change one and keep the other by mistake. */
export const scriptsId = `${SCRIPTS_NUMBER}-${digestOf([claimScript, deleteScript, mergeScript, rebuildScript])}`;

/**
 * What Redis keeps of an event until it is finished: without expiry, in one hash tag, hence on one
 * node of a cluster.
 */
export type EventKeys = {
  /** Fields: `open`, and `building` while a rebuild is under way. */
  readonly state: string;
  /** Person to the number under which they reserved. */
  readonly persons: string;
  /** How many numbers were given: INCR moves it. */
  readonly count: string;
  readonly building: string;
};

export function keysOf(eventId: EventId): EventKeys {
  const prefix = `stampede:{${eventId}}`;
  return {
    state: `${prefix}:state`,
    persons: `${prefix}:persons`,
    count: `${prefix}:count`,
    building: `${prefix}:building`,
  };
}

/**
 * What the field `open` says where Redis may count: the generation that PostgreSQL names, the run of
 * the server in which it began, and the scripts by which it counts. A restarted server shows another run,
 * whatever it restored, and to another build's scripts everything is closed.
 */
export function stampOf(generation: string, runId: string): string {
  return `${generation}:${runId}:${scriptsId}`;
}

/**
 * Whether the event is counted, in this generation, by the scripts of another build that does not give
 * way to this one: by a higher number, or by other texts under the same one.
 */
export function isOthers(generation: string | null, stamp: string | null): boolean {
  const [named, , scripts = "0"] = stamp?.split(":") ?? [];
  if (generation === null || named !== generation || scripts === scriptsId) return false;
  return Number.parseInt(scripts, 10) >= SCRIPTS_NUMBER;
}

/** A number is the person's, new or (negative) held before. */
export type ScriptAnswer = number | "wait";

export type ScriptClaim = {
  readonly eventId: EventId;
  readonly stamp: string;
  readonly limit: number;
  readonly userIds: readonly UserId[];
};

/** One answer per person, or "closed" for all of them. */
export async function reserve(
  session: RedisSession,
  claim: ScriptClaim,
): Promise<readonly ScriptAnswer[] | "closed"> {
  const keys = keysOf(claim.eventId);
  const reply = await session.run(
    claimScript,
    [keys.state, keys.persons, keys.count],
    [claim.stamp, String(claim.limit), ...claim.userIds],
  );
  if (reply === "closed") return "closed";
  invariant(
    Array.isArray(reply) && reply.length === claim.userIds.length && reply.every(isScriptAnswer),
    "claim.lua answers every person",
  );
  return reply;
}

/** How many persons were added, or "closed". */
export async function merge(
  session: RedisSession,
  to: { readonly eventId: EventId; readonly stamp: string; readonly userIds: readonly UserId[] },
): Promise<number | "closed"> {
  const keys = keysOf(to.eventId);
  const reply = await session.run(
    mergeScript,
    [keys.state, keys.persons, keys.count],
    [to.stamp, ...to.userIds],
  );
  if (reply === "closed") return "closed";
  invariant(typeof reply === "number", "merge.lua answers a number");
  return reply;
}

/** One step of `rebuild.lua`; false where another builder took over. */
export async function rebuildStep(
  session: RedisSession,
  eventId: EventId,
  step: readonly string[],
): Promise<boolean> {
  const keys = keysOf(eventId);
  const reply = await session.run(
    rebuildScript,
    [keys.state, keys.persons, keys.building, keys.count],
    step,
  );
  return reply !== "superseded";
}

/** False where Redis holds something else than was seen: then nothing is deleted. */
export async function deleteKeys(
  session: RedisSession,
  eventId: EventId,
  seen: Pick<CounterState, "stamp" | "held">,
): Promise<boolean> {
  const keys = keysOf(eventId);
  const reply = await session.run(
    deleteScript,
    [keys.state, keys.persons, keys.building, keys.count],
    [seen.stamp ?? "", String(seen.held)],
  );
  return reply !== "moved";
}

export type CounterState = {
  /** What Redis keeps in its field `open`. */
  readonly stamp: string | null;
  readonly building: string | null;
  /** Persons who hold a number. */
  readonly held: number;
  /** Persons built so far, while a rebuild is under way. */
  readonly built: number;
};

/** Questions of one round trip, of which another follows during a rebuild; not of one instant. */
export async function readState(session: RedisSession, eventId: EventId): Promise<CounterState> {
  const keys = keysOf(eventId);
  const [state, held] = await Promise.all([
    session.send("HMGET", keys.state, "open", "building"),
    session.send("HLEN", keys.persons),
  ]);
  invariant(Array.isArray(state), "HMGET answers a list");
  const [stamp, building] = state.map((field) => (typeof field === "string" ? field : null));
  const built = typeof building === "string" ? await session.send("HLEN", keys.building) : 0;
  return {
    stamp: stamp ?? null,
    building: building ?? null,
    held: Number(held),
    built: Number(built),
  };
}

/** Whether this person holds a number, while Redis counts by this stamp. */
export async function holdsNumber(
  session: RedisSession,
  asked: { readonly eventId: EventId; readonly stamp: string; readonly userId: UserId },
): Promise<boolean> {
  const keys = keysOf(asked.eventId);
  const [open, number] = await Promise.all([
    session.send("HGET", keys.state, "open"),
    session.send("HGET", keys.persons, asked.userId),
  ]);
  return open === asked.stamp && number !== null;
}

/** The events of one page of all keys, and where the next page begins ("0": this was the last). */
export async function findEvents(
  session: RedisSession,
  page: { readonly cursor: string; readonly keys: number },
): Promise<{ readonly cursor: string; readonly eventIds: ReadonlySet<EventId> }> {
  const match = ["MATCH", "stampede:{*}:*", "COUNT", String(page.keys)];
  const reply = await session.send("SCAN", page.cursor, ...match);
  invariant(Array.isArray(reply), "SCAN answers a cursor and a list");
  const [cursor, keys]: readonly unknown[] = reply;
  invariant(Array.isArray(keys), "SCAN answers a cursor and a list");
  const eventIds = keys
    .map((key) =>
      parseEventId(/^stampede:\{(?<id>[^}]+)\}:/.exec(String(key))?.groups?.["id"] ?? ""),
    )
    .filter((id) => id !== null);
  return { cursor: String(cursor), eventIds: new Set(eventIds) };
}

function isScriptAnswer(answer: unknown): answer is ScriptAnswer {
  return typeof answer === "number" || answer === "wait";
}

function scriptOf(name: string): Script {
  return readScript(join(import.meta.dirname, `${name}.lua`));
}

function digestOf(scripts: readonly Script[]): string {
  const texts = scripts.map(({ sha1 }) => sha1).join();
  return createHash("sha1").update(texts).digest("hex").slice(0, 8);
}
