import { parseArgs } from "node:util";

import { mechanisms, type Mechanism } from "./history.ts";

/** What the command line asked for. */
export type RushOptions = {
  readonly mechanisms: readonly Mechanism[];
  /** Mechanisms that were asked for by name: one that is off is an error then, not a gap. */
  readonly named: boolean;
  readonly users: number;
  readonly limit: number;
  readonly repeat: number;
  readonly streams: number;
  readonly deadlineMs: number;
  readonly url: string | null;
  readonly json: string | null;
  readonly history: string | null;
  /** Where Prometheus may look while it runs. */
  readonly metricsPort: number | null;
  readonly help: boolean;
};

export const usage = `npm run rush -- [options]

A same-instant crowd against a running Stampede, or against a private one that this command starts
and stops. All connections are opened first, then everybody claims at one instant.

  --mechanism NAME  v1, v2 or v3 (row-lock, redis-counter, kafka-queue); several with commas.
                    Default: all three. An empty handler of the same HTTP stack comes along as ceiling.
  --users N         connections, one claim on each (default 10000)
  --limit N         coupons (default 100)
  --repeat N        rounds, interleaved, every second one in reversed order (default 1)
  --streams N       people who watch the event's stream meanwhile (default 0)
  --deadline S      seconds until an answer counts as missing (default 60)
  --url URL         the server to rush; needs ADMIN_TOKEN and DATABASE_URL in the environment.
                    Default: what \`npm start\` runs in this folder, else a private program.
  --json FILE       write all figures as JSON
  --history FILE    write every attempt and row as a JSON line, for npm run judge
  --metrics-port P  serve GET /metrics on 127.0.0.1 meanwhile
  --help            this text

Exit status: 0 all right; 1 a violation, an unclean run or a fault; 2 bad arguments; 130 Ctrl-C.`;

const bounds = {
  users: { default: 10_000, least: 1, most: 1_000_000 },
  limit: { default: 100, least: 1, most: 1_000_000 },
  repeat: { default: 1, least: 1, most: 1_000 },
  streams: { default: 0, least: 0, most: 100_000 },
  deadline: { default: 60, least: 1, most: 3_600 },
  "metrics-port": { default: 0, least: 1, most: 65_535 },
} as const;

const text = { type: "string" } as const;

/** Parses the arguments, or gives every fault in them at once. */
export function parseOptions(args: readonly string[]): RushOptions | { readonly faults: string[] } {
  const faults: string[] = [];
  const values = parsed(args, faults);
  const number = (name: keyof typeof bounds): number => {
    const value = integerOf(name, values[name], { ...bounds[name], faults });
    return value ?? bounds[name].default;
  };
  const path = (name: string): string | null => {
    const value = values[name];
    if (value === "") faults.push(`--${name} needs a file name.`);
    return typeof value === "string" ? value : null;
  };
  const named = typeof values["mechanism"] === "string" ? values["mechanism"] : null;
  const options: RushOptions = {
    mechanisms: named === null ? allMechanisms : namedMechanisms(named, faults),
    named: named !== null,
    users: number("users"),
    limit: number("limit"),
    repeat: number("repeat"),
    streams: number("streams"),
    deadlineMs: number("deadline") * 1_000,
    url: serverUrl(values["url"], faults),
    json: path("json"),
    history: path("history"),
    metricsPort: values["metrics-port"] === undefined ? null : number("metrics-port"),
    help: values["help"] === true,
  };
  return faults.length > 0 ? { faults } : options;
}

export const allMechanisms: readonly Mechanism[] = ["row-lock", "redis-counter", "kafka-queue"];

function parsed(args: readonly string[], faults: string[]): Record<string, unknown> {
  try {
    return parseArgs({
      args: [...args],
      options: {
        mechanism: text,
        users: text,
        limit: text,
        repeat: text,
        streams: text,
        deadline: text,
        url: text,
        json: text,
        history: text,
        "metrics-port": text,
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    // An unknown option or a missing value: parseArgs says which.
    faults.push(error instanceof Error ? error.message : String(error));
    return {};
  }
}

/** Reads an option's number; null where it is left out or a fault. */
export function integerOf(
  name: string,
  value: unknown,
  { least, most, faults }: { least: number; most: number; faults: string[] },
): number | null {
  if (typeof value !== "string") return null;
  const count = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (count >= least && count <= most) return count;
  faults.push(`--${name} is an integer from ${least} to ${most}, not "${value}".`);
  return null;
}

/** Reads "v1,kafka-queue"; every name that is none is a fault. */
export function namedMechanisms(names: string, faults: string[]): Mechanism[] {
  const found = names.split(",").flatMap((name) => {
    const match = allMechanisms.find((m) => m === name || mechanisms[m].version === name);
    if (match === undefined) faults.push(`--mechanism knows v1, v2 and v3, not "${name}".`);
    return match === undefined ? [] : [match];
  });
  return [...new Set(found)];
}

/** A server's root as `--url` names it; null where it is left out or a fault. */
export function serverUrl(value: unknown, faults: string[]): string | null {
  if (typeof value !== "string") return null;
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url?.protocol === "http:" && url.pathname === "/" && url.search === "") return url.origin;
  faults.push(`--url is the root of a server that speaks plain HTTP, not "${value}".`);
  return null;
}
