// A scenario is a small JSON file: who comes when, and what there is to get. The files beside this
// folder have names; anybody's own file is given by its path.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

import { nameOf } from "../crowd/run-sale.ts";
import type { Arrival } from "../crowd/crowd.ts";
import type { Scenario } from "./result.ts";

/** A scenario, and the mechanisms that it is for, by name or version; null: all that there are. */
export type ScenarioFile = {
  readonly scenario: Scenario;
  readonly mechanisms: readonly string[] | null;
};

/** What a command line may change of a scenario. */
export type ScenarioChanges = {
  readonly people?: number | null;
  readonly limit?: number | null;
  readonly perSecond?: number | null;
  readonly seed?: number | null;
};

const folder = join(import.meta.dirname, "..", "scenarios");
const seedDefault = 1;
/**
 * A server cuts a connection that has been silent for 30 s. The whole crowd stands before the first
 * arrival, which takes seconds too.
 */
const arrivalMsMax = 20_000;

/** Fields of a file, and what a number in them may be. */
const numbers = {
  people: { least: 1, most: 1_000_000 },
  limit: { least: 1, most: 1_000_000 },
  claimsPerPerson: { least: 1, most: 100 },
  perSecond: { least: 1, most: 1_000_000 },
  pace: { least: 0, most: 1_000_000 },
  earlierPeople: { least: 0, most: 1_000_000 },
  seed: { least: 0, most: 0xffff_ffff },
} as const;

/** The scenarios that come with the lab. */
export function scenarios(): readonly Scenario[] {
  const names = readdirSync(folder).filter((file) => file.endsWith(".json"));
  return names.sort().map((file) => readScenario(basename(file, ".json")).scenario);
}

/** Reads a scenario by its name or its file's path. Every fault in it is listed at once. */
export function readScenario(nameOrPath: string, changes: ScenarioChanges = {}): ScenarioFile {
  const own = join(folder, `${nameOrPath}.json`);
  const path = /^[a-z-]+$/.test(nameOrPath) && existsSync(own) ? own : nameOrPath;
  if (!existsSync(path)) {
    const known = readdirSync(folder).map((file) => basename(file, ".json"));
    throw new Error(
      `There is no scenario "${nameOrPath}": it is one of ${known.sort().join(", ")}, or the path ` +
        "of a JSON file like those in lab/scenarios.",
    );
  }
  return scenarioOf(basename(path, ".json"), parsed(path), changes);
}

/** A scenario from a file's content, with what the command line changes of it. */
export function scenarioOf(
  name: string,
  file: Readonly<Record<string, unknown>>,
  changes: ScenarioChanges = {},
): ScenarioFile {
  const given = { ...file, ...withoutNulls(changes) };
  const faults: string[] = [];
  const number = (field: keyof typeof numbers, byDefault: number | null): number | null => {
    const value = given[field] ?? null;
    if (value === null) return byDefault;
    const { least, most } = numbers[field];
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) {
      return value;
    }
    faults.push(`"${field}" is an integer from ${least} to ${most}.`);
    return byDefault;
  };
  for (const field of Object.keys(file)) {
    if (!(field in numbers) && field !== "description" && field !== "mechanisms") {
      faults.push(`"${field}" is no field of a scenario.`);
    }
  }
  for (const field of ["people", "limit"]) {
    if (!(field in given)) faults.push(`"${field}" is missing.`);
  }
  const limit = number("limit", 1) ?? 1;
  const earlierPeople = number("earlierPeople", 0) ?? 0;
  const scenario: Scenario = {
    name,
    description: typeof given["description"] === "string" ? given["description"] : "",
    people: number("people", 1) ?? 1,
    limit,
    claimsPerPerson: number("claimsPerPerson", 1) ?? 1,
    perSecond: number("perSecond", null),
    pace: number("pace", null),
    // Whoever comes late shall find everything sold, also where there is more to sell than usual.
    earlierPeople: earlierPeople === 0 ? 0 : Math.max(earlierPeople, limit),
    seed: number("seed", seedDefault) ?? seedDefault,
  };
  const mechanisms = mechanismsOf(given["mechanisms"], faults);
  if (scenario.pace !== null && mechanisms === null) {
    faults.push('"pace" is for a queue: say in "mechanisms" which ones have a queue.');
  }
  if ((arrivalTimes(scenario).at(-1) ?? 0) > arrivalMsMax) {
    faults.push(
      `The last of ${scenario.people} people comes after more than ${arrivalMsMax / 1_000} s: a server ` +
        'may cut a connection that waits so long. Take fewer "people" or a higher "perSecond".',
    );
  }
  if (faults.length > 0) throw new Error(`Scenario ${name}: ${faults.join(" ")}`);
  return { scenario, mechanisms };
}

/**
 * When each person comes, in order, in milliseconds after the start; the same for the same seed. With
 * a rate the gaps are exponential: people who know nothing of each other come like that.
 */
export function arrivalTimes({
  people,
  perSecond,
  seed,
}: Pick<Scenario, "people" | "perSecond" | "seed">): readonly number[] {
  if (perSecond === null) return Array.from({ length: people }, () => 0);
  const random = randomOf(seed);
  let atMs = 0;
  return Array.from({ length: people }, (_, index) => {
    if (index > 0) atMs += (-Math.log(1 - random()) * 1_000) / perSecond;
    return atMs;
  });
}

/** The arrivals of one run: the same times in every run, and names that no other run uses. */
export function arrivalsOf(times: readonly number[], run: string): readonly Arrival[] {
  return times.map((atMs, index) => ({ person: nameOf(run, index), atMs }));
}

/** Uniform numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function mechanismsOf(value: unknown, faults: string[]): readonly string[] | null {
  if (value === undefined) return null;
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  const names = list.filter((name) => typeof name === "string");
  if (names.length === 0 || names.length !== list.length) {
    faults.push('"mechanisms" is a list of names or versions, such as ["v1"].');
  }
  return names;
}

function withoutNulls(changes: ScenarioChanges): Record<string, unknown> {
  const set = Object.entries(changes).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(set);
}

function parsed(path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch (cause) {
    throw new Error(`${path} is no JSON: ${cause instanceof Error ? cause.message : ""}`, {
      cause,
    });
  }
  throw new Error(`${path} holds no scenario: it is a JSON object with "people" and "limit".`);
}
