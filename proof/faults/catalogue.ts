// Every case of the fault matrix, and which of them are meant by a name.
import type { FaultCase } from "./case.ts";
import type { Mechanism } from "./mechanisms.ts";
import { applicationCases } from "./catalogue/application.ts";
import { clientCases } from "./catalogue/clients.ts";
import { kafkaCases } from "./catalogue/kafka.ts";
import { operationCases } from "./catalogue/operations.ts";
import { postgresCases } from "./catalogue/postgres.ts";
import { redisCases } from "./catalogue/redis.ts";
import { timeCases } from "./catalogue/time.ts";

export const catalogue: readonly FaultCase[] = [
  ...applicationCases,
  ...postgresCases,
  ...redisCases,
  ...kafkaCases,
  ...clientCases,
  ...timeCases,
  ...operationCases,
];

/** What is run at once: a case with all its mechanisms, or, where it takes them apart, with one. */
export type Turn = {
  /** By which it is asked for: "P4.row-lock", "R2.3". */
  readonly key: string;
  readonly of: FaultCase;
  readonly mechanisms: readonly Mechanism[];
};

export const turns: readonly Turn[] = catalogue.flatMap(turnsOf);

function turnsOf(one: FaultCase): Turn[] {
  const same = catalogue.filter(({ id }) => id === one.id);
  const key = same.length === 1 ? one.id : `${one.id}.${same.indexOf(one) + 1}`;
  if (one.mechanisms === "nobody") return [{ key, of: one, mechanisms: [] }];
  if (one.apart === undefined) return [{ key, of: one, mechanisms: one.mechanisms }];
  const { mechanisms } = one;
  return mechanisms.map((mechanism) => ({
    key: mechanisms.length === 1 ? key : `${key}.${mechanism}`,
    of: one,
    mechanisms: [mechanism],
  }));
}

export const LEVELS = ["test", "proof", "all"] as const;
export type Level = (typeof LEVELS)[number];

export const isLevel = (text: string): text is Level => LEVELS.includes(text as Level);

/** Those that a level adds to the ones before it; "all" means all of them. */
export function turnsOfLevel(level: Level): readonly Turn[] {
  return turns.filter(({ of }) => level === "all" || of.runs === level);
}

/** By id (P4), or by the key of one of several (R2.3, P4.row-lock). */
export function turnsNamed(names: readonly string[]): readonly Turn[] {
  const means = (name: string, { key }: Turn): boolean =>
    key === name || key.startsWith(`${name}.`);
  const unknown = names.filter((name) => !turns.some((turn) => means(name, turn)));
  if (unknown.length > 0) {
    throw new Error(
      `${unknown.join(", ")}: no such case. npm run faults -- --list tells them all.`,
    );
  }
  return turns.filter((turn) => names.some((name) => means(name, turn)));
}
