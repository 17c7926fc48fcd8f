// The mechanisms that a server has. The lab has no list of its own: a mechanism that moves into the
// service is claimed, judged and compared as soon as the server tells of it.
import { ask } from "./crowd/operator.ts";

/** A mechanism as `GET /mechanisms` tells it. */
export type Mechanism = {
  readonly name: string;
  /** Of its path, such as "v1". */
  readonly version: string;
  readonly title: string;
  readonly summary: string;
  /** The engines without which it cannot take claims. */
  readonly needs: readonly string[];
  readonly available: boolean;
};

/** Asks a server for its mechanisms, in the order of their versions. */
export async function readMechanisms(url: string): Promise<readonly Mechanism[]> {
  const answer = await ask(`${url}/mechanisms`, {});
  const body: unknown = await answer.json();
  const told: unknown = isRecord(body) ? body["mechanisms"] : null;
  if (!Array.isArray(told) || !told.every(isMechanism)) {
    throw new Error(
      `${url}/mechanisms does not tell its mechanisms as docs/lab.md describes them.`,
    );
  }
  return told.toSorted((one, other) =>
    one.version.localeCompare(other.version, "en", { numeric: true }),
  );
}

/**
 * Those of them that were named, by name or version ("v1,row-lock"); all where nothing was named. A
 * name that no mechanism has is an error that lists those there are.
 */
export function chosenMechanisms(
  all: readonly Mechanism[],
  names: readonly string[] | null,
): readonly Mechanism[] {
  if (names === null) return all;
  const known = (name: string): Mechanism | undefined =>
    all.find((one) => one.name === name || one.version === name);
  const strangers = names.filter((name) => known(name) === undefined);
  if (strangers.length > 0) {
    const list = all.map(({ name, version }) => `${version} (${name})`).join(", ");
    throw new Error(`This server has no mechanism ${strangers.join(", ")}: it has ${list}.`);
  }
  return [...new Set(names.flatMap((name) => known(name) ?? []))];
}

/**
 * The mechanisms among these that can take claims now. One whose engine is off is left out with a
 * line, and an error where it was asked for by name; one whose engine is down is an error always.
 */
export async function availableMechanisms(
  url: string,
  wanted: { readonly mechanisms: readonly Mechanism[]; readonly named: boolean },
): Promise<readonly Mechanism[]> {
  const states = await engineStates(url);
  const missing = wanted.mechanisms.filter(({ available }) => !available);
  for (const { name, version, needs } of missing) {
    const engines = needs.filter((engine) => states[engine] !== "up");
    const list = engines.map((engine) => `${engine} is ${states[engine] ?? "not known"}`);
    const why = list.length === 0 ? "the server says that it is not available" : list.join(", ");
    const text = `${name} (${version}) is left out: ${why} (${url}/readyz)`;
    // Off is how the server was started; down is a fault that a table must not hide.
    const isOff = engines.length > 0 && engines.every((engine) => states[engine] === "off");
    if (wanted.named || !isOff) throw new Error(`${text}. Start it first.`);
    process.stdout.write(`${text}\n`);
  }
  const rest = wanted.mechanisms.filter(({ available }) => available);
  if (rest.length === 0) throw new Error("No mechanism is left to compare.");
  return rest;
}

/** Each engine's state as `/readyz` tells it: up, down or off. */
async function engineStates(url: string): Promise<Readonly<Record<string, string>>> {
  const answer = await ask(`${url}/readyz`, {});
  const body: unknown = await answer.json();
  const engines = isRecord(body) ? body["engines"] : null;
  if (isRecord(engines)) {
    return Object.fromEntries(
      Object.entries(engines).filter(
        (entry): entry is [string, string] => typeof entry[1] === "string",
      ),
    );
  }
  throw new Error(`${url}/readyz does not tell the states of its engines.`);
}

function isMechanism(value: unknown): value is Mechanism {
  if (!isRecord(value)) return false;
  const { name, version, title, summary, needs, available } = value;
  return (
    [name, version, title, summary].every((text) => typeof text === "string") &&
    Array.isArray(needs) &&
    typeof available === "boolean"
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
