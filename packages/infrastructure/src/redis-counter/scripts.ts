import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { EventId, UserId } from "@stampede/domain";
import { invariant } from "@stampede/domain";
import type { RedisSession } from "./open.ts";

export type Script = {
  readonly name: "claim" | "merge" | "rebuild";
  readonly source: string;
  readonly sha1: string;
};

/** Each header is the script's contract. */
export const claimScript = readScript("claim");
export const mergeScript = readScript("merge");
export const rebuildScript = readScript("rebuild");

/**
 * Raised with every change of a script's text or of what their keys hold. Where builds of two numbers
 * run together the higher one counts, and takes over what the lower one has reserved: it has to be
 * able to read that.
 */
export const SCRIPTS_NUMBER = 1;

/** The number, and the texts themselves: nobody can change one and keep the other by mistake. */
export const scriptsId = `${SCRIPTS_NUMBER}-${digestOf([claimScript, mergeScript, rebuildScript])}`;

/** What Redis keeps of an event: without expiry, in one hash tag, hence on one node of a cluster. */
export type EventKeys = {
  /** Fields: `open`, `latch`, and `building` while a rebuild is under way. */
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
 * What `open` says where Redis may count: the generation that PostgreSQL names, the run of the server
 * in which it was opened, and the scripts by which it counts. A restarted server shows another run,
 * whatever it restored, and to another build's scripts everything is closed.
 */
export function openedBy(generation: string, runId: string): string {
  return `${generation}:${runId}:${scriptsId}`;
}

/**
 * Whether the event is counted, in this generation, by the scripts of another build that does not give
 * way to this one: by a higher number, or by other texts under the same one.
 */
export function isOthers(generation: string | null, open: string | null): boolean {
  const [named, , scripts = "0"] = open?.split(":") ?? [];
  if (generation === null || named !== generation || scripts === scriptsId) return false;
  return Number.parseInt(scripts, 10) >= SCRIPTS_NUMBER;
}

/** A number is the person's, new or (negative) held before. */
export type ScriptAnswer = number | "sold-out" | "wait";

export type ScriptClaim = {
  readonly eventId: EventId;
  readonly opened: string;
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
    [claim.opened, String(claim.limit), ...claim.userIds],
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
  to: { readonly eventId: EventId; readonly opened: string; readonly userIds: readonly UserId[] },
): Promise<number | "closed"> {
  const keys = keysOf(to.eventId);
  const reply = await session.run(
    mergeScript,
    [keys.state, keys.persons, keys.count],
    [to.opened, ...to.userIds],
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

export type EventState = {
  readonly open: string | null;
  readonly latched: boolean;
  readonly building: string | null;
  /** Persons who hold a number. */
  readonly held: number;
  /** Persons built so far, while a rebuild is under way. */
  readonly built: number;
};

/** Three questions in one round trip; they need not be of one instant. */
export async function readState(session: RedisSession, eventId: EventId): Promise<EventState> {
  const keys = keysOf(eventId);
  const [state, held, built] = await Promise.all([
    session.send("HMGET", keys.state, "open", "latch", "building"),
    session.send("HLEN", keys.persons),
    session.send("HLEN", keys.building),
  ]);
  invariant(Array.isArray(state), "HMGET answers a list");
  const [open, latch, building] = state.map((field) => (typeof field === "string" ? field : null));
  return {
    open: open ?? null,
    latched: latch === "1",
    building: building ?? null,
    held: Number(held),
    built: Number(built),
  };
}

function isScriptAnswer(answer: unknown): answer is ScriptAnswer {
  return typeof answer === "number" || answer === "sold-out" || answer === "wait";
}

function readScript(name: Script["name"]): Script {
  const source = readFileSync(join(import.meta.dirname, `${name}.lua`), "utf8");
  return { name, source, sha1: createHash("sha1").update(source).digest("hex") };
}

function digestOf(scripts: readonly Script[]): string {
  const texts = scripts.map(({ sha1 }) => sha1).join();
  return createHash("sha1").update(texts).digest("hex").slice(0, 8);
}
