import { help, integerOf, namesOf, parsed, serverUrl, text, wordOf } from "../options.ts";

export const usage = `npm run rush -- [options]            one crowd at one instant on every mechanism
npm run lab -- compare [options]     the same in five rounds, with any scenario
npm run lab -- many [--events N] [--coupons N] [--watchers N] [--parts NAMES] [--out DIR]
                                     many sales beside each other, 1000 by default, one of a million
                                     coupons, and 10,000 watchers of one; parts: rest, queues, locked,
                                     watchers, large, processes
npm run lab -- report FILE [--out DIR]   make the report of a comparison's JSON again
npm run lab -- scenarios             list the scenarios

Every mechanism of the server, and an empty handler of the same HTTP stack as ceiling, meet the same
arrivals, interleaved, in reversed order every second round, on a fresh event each time. Every sale is
judged. A run that was wrong, or that the crowd's own process could not keep up with, has no
throughput. docs/lab.md says what each figure means.

  --scenario NAME   one of those that \`scenarios\` lists, or a JSON file's path (default rush)
  --rounds N        rounds that count (default 5, of npm run rush 1); --repeat N is the same
  --warm-ups N      rounds before them that do not (default 2, of npm run rush 1)
  --mechanism NAME  a mechanism by its version or name; several with commas.
                    Default: all that the server has and the scenario is for.
  --people N        people, each with a connection of their own; --users N is the same
  --limit N         coupons
  --rate N          arrivals per second
  --seed N          another trace of arrivals
  --streams N       people who watch the event's stream meanwhile (default 0)
  --same-against-same NAMES  who runs twice in each round, to learn what is only noise: mechanisms,
                    ceiling, or none (default v2,ceiling)
  --target FILE     drive another system as well, which this JSON file describes
  --deadline S      seconds until an answer counts as missing (default 60)
  --url URL         the server to measure; needs ADMIN_TOKEN and DATABASE_URL in the environment.
                    Default: what \`npm start\` runs in this folder, else a private program.
  --out DIR         where the results go (default .stampede/lab/SCENARIO-TIME)
  --history FILE    write every attempt and row as a JSON line, for npm run judge
  --metrics-port P  serve GET /metrics on 127.0.0.1 meanwhile
  --help            this text

Exit status: 0 all right; 1 a wrong run, a subject without a right run, or a fault; 2 bad arguments;
130 Ctrl-C.`;

export type CompareOptions = {
  readonly command: "compare";
  readonly scenario: string;
  readonly rounds: number;
  readonly warmUps: number;
  /** By name or version; null: all that the scenario is for. */
  readonly mechanisms: readonly string[] | null;
  readonly people: number | null;
  readonly limit: number | null;
  readonly perSecond: number | null;
  readonly seed: number | null;
  readonly streams: number;
  /** By name or version; null: what the lab takes by itself. */
  readonly sameAgainstSame: readonly string[] | null;
  readonly target: string | null;
  readonly deadlineMs: number;
  readonly url: string | null;
  readonly out: string | null;
  readonly history: string | null;
  readonly metricsPort: number | null;
};

export type LabOptions =
  | CompareOptions
  | ManyOptions
  | { readonly command: "report"; readonly file: string; readonly out: string | null }
  | { readonly command: "scenarios" }
  | { readonly command: "help" };

export type ManyOptions = {
  readonly command: "many";
  readonly events: number;
  readonly coupons: number;
  readonly watchers: number;
  /** Null: all. */
  readonly parts: readonly ManyPart[] | null;
  readonly out: string | null;
};

/** The parts of the table of many sales, in the order in which they run. */
export const manyParts = ["rest", "queues", "locked", "watchers", "large", "processes"] as const;

export type ManyPart = (typeof manyParts)[number];

const bounds = {
  rounds: { least: 1, most: 1_000 },
  repeat: { least: 1, most: 1_000 },
  "warm-ups": { least: 0, most: 100 },
  people: { least: 1, most: 1_000_000 },
  users: { least: 1, most: 1_000_000 },
  limit: { least: 1, most: 1_000_000 },
  rate: { least: 1, most: 1_000_000 },
  seed: { least: 0, most: 0xffff_ffff },
  streams: { least: 0, most: 100_000 },
  deadline: { least: 1, most: 3_600 },
  events: { least: 10, most: 10_000 },
  coupons: { least: 1_000, most: 1_000_000 },
  watchers: { least: 100, most: 50_000 },
  "metrics-port": { least: 1, most: 65_535 },
} as const;

const words = ["mechanism", "same-against-same", "target", "url", "out", "history"] as const;
const compareForms = {
  scenario: text,
  help,
  ...Object.fromEntries([...words, ...Object.keys(bounds)].map((name) => [name, text])),
};

/** How often, where nothing is said: one look for a person, enough samples for a comparison. */
const defaults = {
  rush: { rounds: 1, warmUps: 1 },
  compare: { rounds: 5, warmUps: 2 },
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
    case "rush":
    case "compare":
      return compareOf(rest, defaults[command], faults);
    case "many":
      return manyOf(rest, faults);
    case "report":
      return reportOf(rest, faults);
    case "scenarios": {
      const { values } = parsed(rest, { help }, faults);
      return { command: values["help"] === true ? "help" : "scenarios" };
    }
    default:
      faults.push(`"${command}" is no command: it is compare, rush, many, report or scenarios.`);
      return null;
  }
}

function manyOf(rest: readonly string[], faults: string[]): LabOptions {
  const forms = { help, events: text, coupons: text, watchers: text, parts: text, out: text };
  const { values } = parsed(rest, forms, faults);
  if (values["help"] === true) return { command: "help" };
  const number = (name: "events" | "coupons" | "watchers", usual: number): number =>
    integerOf(name, values[name], { ...bounds[name], faults }) ?? usual;
  const named = namesOf("parts", values, faults);
  const strangers = (named ?? []).filter((name) => !manyParts.some((part) => part === name));
  if (strangers.length > 0) {
    faults.push(`--parts: ${strangers.join(", ")} is none of ${manyParts.join(", ")}.`);
  }
  return {
    command: "many",
    events: number("events", 1_000),
    coupons: number("coupons", 1_000_000),
    watchers: number("watchers", 10_000),
    parts: named === null ? null : manyParts.filter((part) => named.includes(part)),
    out: wordOf("out", values, faults),
  };
}

function compareOf(
  rest: readonly string[],
  byDefault: { readonly rounds: number; readonly warmUps: number },
  faults: string[],
): LabOptions {
  const { values, positionals } = parsed(rest, compareForms, faults);
  if (values["help"] === true) return { command: "help" };
  for (const word of positionals) faults.push(`"${word}" is no option: write --scenario ${word}?`);
  const number = (name: keyof typeof bounds): number | null =>
    integerOf(name, values[name], { ...bounds[name], faults });
  const either = (name: keyof typeof bounds, other: keyof typeof bounds): number | null => {
    if (values[name] !== undefined && values[other] !== undefined) {
      faults.push(`--${name} and --${other} are the same: give one of them.`);
    }
    return number(name) ?? number(other);
  };
  const pairs = namesOf("same-against-same", values, faults);
  return {
    command: "compare",
    scenario: wordOf("scenario", values, faults) ?? "rush",
    rounds: either("rounds", "repeat") ?? byDefault.rounds,
    warmUps: number("warm-ups") ?? byDefault.warmUps,
    mechanisms: namesOf("mechanism", values, faults),
    people: either("people", "users"),
    limit: number("limit"),
    perSecond: number("rate"),
    seed: number("seed"),
    streams: number("streams") ?? 0,
    sameAgainstSame: pairs?.join() === "none" ? [] : pairs,
    target: wordOf("target", values, faults),
    deadlineMs: (number("deadline") ?? 60) * 1_000,
    url: serverUrl(values, faults),
    out: wordOf("out", values, faults),
    history: wordOf("history", values, faults),
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
