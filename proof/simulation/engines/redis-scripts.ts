// claim.lua, delete.lua, merge.lua and rebuild.lua, step by step, on a simulated keyspace. That they answer as
// the scripts do on a real Redis is conformance.test.ts's to show.
import { ErrorReply } from "redis";

export type Keyspace = Map<string, Map<string, string> | string>;

export type ScriptRun = (
  keys: Keyspace,
  names: readonly string[],
  args: readonly string[],
) => unknown;

export function hashOf(keys: Keyspace, name: string): ReadonlyMap<string, string> {
  const value = keys.get(name);
  if (typeof value === "string") throw new ErrorReply("WRONGTYPE not a hash");
  return value ?? new Map<string, string>();
}

function writableHash(keys: Keyspace, name: string): Map<string, string> {
  const value = keys.get(name);
  if (typeof value === "string") throw new ErrorReply("WRONGTYPE not a hash");
  const hash = value ?? new Map<string, string>();
  keys.set(name, hash);
  return hash;
}

function numberOf(keys: Keyspace, name: string): number {
  const value = keys.get(name);
  if (value instanceof Map) throw new ErrorReply("WRONGTYPE not a string");
  return Number(value ?? "0");
}

export const claim: ScriptRun = (keys, [state = "", persons = "", count = ""], args) => {
  const [open, limitText, ...claimants] = args;
  const limit = Number(limitText);
  if (!Number.isInteger(limit) || limit < 1) {
    throw new ErrorReply("ERR claim.lua wants the limit as a whole number from 1");
  }
  if (hashOf(keys, state).get("open") !== open) return "closed";
  let counter = numberOf(keys, count);
  hashOf(keys, persons);
  return claimants.map((person) => {
    const number = hashOf(keys, persons).get(person);
    if (number !== undefined) return -Number(number);
    if (counter >= limit) return "wait";
    counter = numberOf(keys, count) + 1;
    keys.set(count, String(counter));
    writableHash(keys, persons).set(person, String(counter));
    return counter;
  });
};

export const deleteAll: ScriptRun = (keys, names, [open, held]) => {
  const [state = "", persons = ""] = names;
  if ((hashOf(keys, state).get("open") ?? "") !== open) return "moved";
  if (hashOf(keys, persons).size !== Number(held)) return "moved";
  for (const name of names) keys.delete(name);
  return 1;
};

export const merge: ScriptRun = (keys, [state = "", persons = "", count = ""], args) => {
  const [open, ...winners] = args;
  if (hashOf(keys, state).get("open") !== open) return "closed";
  let counter = numberOf(keys, count);
  let added = 0;
  for (const person of winners) {
    if (hashOf(keys, persons).has(person)) continue;
    counter += 1;
    keys.set(count, String(counter));
    writableHash(keys, persons).set(person, String(counter));
    added += 1;
  }
  return added;
};

export const rebuild: ScriptRun = (keys, names, args) => {
  const [state = "", persons = "", building = "", count = ""] = names;
  const [step, token = "", ...rest] = args;
  if (step === "begin") {
    if ((hashOf(keys, state).get("open") ?? "") !== rest[0]) return "superseded";
    keys.delete(building);
    writableHash(keys, state).set("building", token);
    return 0;
  }
  if (hashOf(keys, state).get("building") !== token) return "superseded";
  let built = hashOf(keys, building).size;
  if (step === "add") {
    for (const person of rest) {
      const hash = writableHash(keys, building);
      if (hash.has(person)) continue;
      built += 1;
      hash.set(person, String(built));
    }
    return built;
  }
  if (step !== "open") {
    throw new ErrorReply("ERR rebuild.lua knows the steps begin, add and open");
  }
  const [open = "", expected] = rest;
  if (built !== Number(expected)) return "superseded";
  keys.delete(persons);
  const winners = keys.get(building);
  if (built > 0 && winners !== undefined) keys.set(persons, winners);
  keys.delete(building);
  keys.set(count, String(built));
  const facts = writableHash(keys, state);
  facts.delete("building");
  facts.set("open", open);
  return built;
};
