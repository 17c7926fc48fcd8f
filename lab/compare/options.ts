import { parseArgs } from "node:util";

import type { Mechanism } from "../crowd/history.ts";
import { integerOf, namedMechanisms, serverUrl } from "../crowd/options.ts";
import type { Subject } from "./result.ts";

export const usage = `npm run lab -- compare [options]   compare the mechanisms and the empty handler
npm run lab -- report FILE [--out DIR]   make the report of a comparison's JSON again
npm run lab -- scenarios   list the scenarios

Every subject meets the same arrivals, interleaved, in reversed order every second round, on a fresh
event each time. A run that was wrong, or that the crowd's own process could not keep up with, has no
throughput. docs/lab.md says what each figure means.

  --scenario NAME   one of those that \`scenarios\` lists, or a JSON file's path (default rush)
  --rounds N        rounds that count (default 5)
  --warm-ups N      rounds before them that do not (default 2)
  --mechanism NAME  v1, v2 or v3 (row-lock, redis-counter, kafka-queue); several with commas.
                    Default: all that the scenario is for.
  --people N        people, each with a connection of their own
  --limit N         coupons
  --rate N          arrivals per second
  --seed N          another trace of arrivals
  --same-against-same NAMES  who runs twice in each round, to learn what is only noise: mechanisms,
                    ceiling, or none (default redis-counter,ceiling)
  --target FILE     drive another system as well, which this JSON file describes
  --deadline S      seconds until an answer counts as missing (default 60)
  --url URL         the server to measure; needs ADMIN_TOKEN and DATABASE_URL in the environment.
                    Default: what \`npm start\` runs in this folder, else a private program.
  --out DIR         where the results go (default .stampede/lab/SCENARIO-TIME)
  --metrics-port P  serve GET /metrics on 127.0.0.1 meanwhile
  --help            this text

Exit status: 0 all right; 1 a wrong run, a subject without a right run, or a fault; 2 bad arguments;
130 Ctrl-C.`;

export type CompareOptions = {
  readonly command: "compare";
  readonly scenario: string;
  readonly rounds: number;
  readonly warmUps: number;
  /** Null: all that the scenario is for. */
  readonly mechanisms: readonly Mechanism[] | null;
  readonly people: number | null;
  readonly limit: number | null;
  readonly perSecond: number | null;
  readonly seed: number | null;
  readonly sameAgainstSame: readonly Subject[];
  readonly target: string | null;
  readonly deadlineMs: number;
  readonly url: string | null;
  readonly out: string | null;
  readonly metricsPort: number | null;
};

export type LabOptions =
  | CompareOptions
  | { readonly command: "report"; readonly file: string; readonly out: string | null }
  | { readonly command: "scenarios" }
  | { readonly command: "help" };

const bounds = {
  rounds: { least: 1, most: 1_000 },
  "warm-ups": { least: 0, most: 100 },
  people: { least: 1, most: 1_000_000 },
  limit: { least: 1, most: 1_000_000 },
  rate: { least: 1, most: 1_000_000 },
  seed: { least: 0, most: 0xffff_ffff },
  deadline: { least: 1, most: 3_600 },
  "metrics-port": { least: 1, most: 65_535 },
} as const;

const text = { type: "string" } as const;
const help = { type: "boolean", short: "h" } as const;
const compareOptions = {
  scenario: text,
  mechanism: text,
  "same-against-same": text,
  target: text,
  url: text,
  out: text,
  rounds: text,
  "warm-ups": text,
  people: text,
  limit: text,
  rate: text,
  seed: text,
  deadline: text,
  "metrics-port": text,
  help,
} as const;

/** Parses the arguments, or gives every fault in them at once. */
export function parseLabOptions(
  args: readonly string[],
): LabOptions | { readonly faults: readonly string[] } {
  const [command = "--help", ...rest] = args;
  if (command === "--help" || command === "-h") return { command: "help" };
  const faults: string[] = [];
  const options = parsedAs(command, rest, faults);
  return faults.length > 0 || options === null ? { faults } : options;
}

function parsedAs(command: string, rest: readonly string[], faults: string[]): LabOptions | null {
  switch (command) {
    case "compare":
      return compareOf(rest, faults);
    case "report":
      return reportOf(rest, faults);
    case "scenarios": {
      const { values } = parsed(rest, { help }, faults);
      return { command: values["help"] === true ? "help" : "scenarios" };
    }
    default:
      faults.push(`"${command}" is no command: it is compare, report or scenarios.`);
      return null;
  }
}

function compareOf(rest: readonly string[], faults: string[]): LabOptions {
  const { values, positionals } = parsed(rest, compareOptions, faults);
  if (values["help"] === true) return { command: "help" };
  for (const word of positionals) faults.push(`"${word}" is no option: write --scenario ${word}?`);
  const number = (name: keyof typeof bounds): number | null =>
    integerOf(name, values[name], { ...bounds[name], faults });
  const { mechanism } = values;
  return {
    command: "compare",
    scenario: wordOf("scenario", values, faults) ?? "rush",
    rounds: number("rounds") ?? 5,
    warmUps: number("warm-ups") ?? 2,
    mechanisms: typeof mechanism === "string" ? namedMechanisms(mechanism, faults) : null,
    people: number("people"),
    limit: number("limit"),
    perSecond: number("rate"),
    seed: number("seed"),
    sameAgainstSame: pairsOf(values["same-against-same"], faults),
    target: wordOf("target", values, faults),
    deadlineMs: (number("deadline") ?? 60) * 1_000,
    url: serverUrl(values["url"], faults),
    out: wordOf("out", values, faults),
    metricsPort: number("metrics-port"),
  };
}

function reportOf(rest: readonly string[], faults: string[]): LabOptions {
  const { values, positionals } = parsed(rest, { out: text, help }, faults);
  if (values["help"] === true) return { command: "help" };
  const [file = "", ...more] = positionals;
  if (file === "" || more.length > 0) {
    faults.push("report needs one file: the comparison.json that compare has written.");
  }
  return { command: "report", file, out: wordOf("out", values, faults) };
}

type Values = Readonly<Record<string, unknown>>;

function parsed(
  args: readonly string[],
  options: Readonly<Record<string, typeof text | typeof help>>,
  faults: string[],
): { readonly values: Values; readonly positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options: { ...options }, allowPositionals: true });
  } catch (error) {
    // An unknown option or a missing value: parseArgs says which.
    faults.push(error instanceof Error ? error.message : String(error));
    return { values: {}, positionals: [] };
  }
}

function wordOf(name: string, values: Values, faults: string[]): string | null {
  const value = values[name];
  if (value === "") faults.push(`--${name} needs a value.`);
  return typeof value === "string" ? value : null;
}

const pairsDefault: readonly Subject[] = ["redis-counter", "ceiling"];

function pairsOf(value: unknown, faults: string[]): readonly Subject[] {
  if (typeof value !== "string") return pairsDefault;
  if (value === "none") return [];
  const names = value.split(",");
  const others = names.filter((name) => name !== "ceiling");
  const mechanisms = others.length === 0 ? [] : namedMechanisms(others.join(","), faults);
  return names.includes("ceiling") ? [...mechanisms, "ceiling"] : mechanisms;
}
