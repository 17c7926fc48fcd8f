import { parseArgs } from "node:util";

import { mechanisms, type Mechanism } from "../crowd/history.ts";

/** What the command line asked for. */
export type JmeterOptions = {
  readonly mechanisms: readonly Mechanism[];
  /** Mechanisms that were asked for one by one: one that is off is an error then, not a gap. */
  readonly named: boolean;
  readonly people: number;
  readonly limit: number;
  readonly rounds: number;
  /** Seconds in which the people arrive, before the instant. */
  readonly rampSeconds: number;
  readonly deadlineSeconds: number;
  readonly url: string | null;
  readonly out: string | null;
  readonly help: boolean;
};

export const usage = `npm run jmeter -- VERSION ... [options]

The same crowd by Apache JMeter, as a witness from outside: one plan (lab/jmeter/stampede.jmx), run
by Maven, with JMeter's own HTML report. Everybody arrives, waits for the others at a Synchronizing
Timer and claims once. The rows in the database judge what people were told.

  VERSION       v1, v2, v3, several of them, or all

  --people N    threads, each of them one person with one claim (default 2000)
  --limit N     coupons (default 100)
  --rounds N    how often, every second round in reversed order (default 1)
  --ramp S      seconds in which people arrive, before the instant (default: 500 people a second)
  --deadline S  seconds until an answer counts as missing (default 60)
  --url URL     the server; needs ADMIN_TOKEN and DATABASE_URL in the environment.
                Default: what \`npm start\` runs in this folder, else a private program.
  --out DIR     a new or empty folder for the results (default .stampede/jmeter/TIME)
  --help        this text

Exit status: 0 all right; 1 a wrong judgement (the table is void then) or a fault; 2 bad arguments;
130 Ctrl-C.`;

const bounds = {
  // A thread for each person; docs/jmeter.md says how many fit.
  people: { default: 2_000, least: 1, most: 20_000 },
  limit: { default: 100, least: 1, most: 1_000_000 },
  rounds: { default: 1, least: 1, most: 100 },
  ramp: { default: 0, least: 0, most: 600 },
  deadline: { default: 60, least: 1, most: 3_600 },
} as const;

const arrivalsPerSecond = 500;
const allMechanisms = ["row-lock", "redis-counter", "kafka-queue"] as const;
const text = { type: "string" } as const;

/** Parses the arguments, or gives every fault in them at once. */
export function parseJmeterOptions(
  args: readonly string[],
): JmeterOptions | { readonly faults: readonly string[] } {
  const faults: string[] = [];
  const { values, versions } = parsed(args, faults);
  const number = (name: keyof typeof bounds): number => {
    const { default: byDefault, least, most } = bounds[name];
    const value = values[name];
    if (typeof value !== "string") return byDefault;
    const count = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (count >= least && count <= most) return count;
    faults.push(`--${name} is an integer from ${least} to ${most}, not "${value}".`);
    return byDefault;
  };
  const help = values["help"] === true;
  if (versions.length === 0 && !help) faults.push("Name a version: v1, v2, v3, or all.");
  if (values["out"] === "") faults.push("--out needs the name of a folder.");
  const people = number("people");
  const options: JmeterOptions = {
    mechanisms: chosen(versions, faults),
    named: !versions.includes("all"),
    people,
    limit: number("limit"),
    rounds: number("rounds"),
    rampSeconds: number("ramp") || Math.max(1, Math.ceil(people / arrivalsPerSecond)),
    deadlineSeconds: number("deadline"),
    url: serverUrl(values["url"], faults),
    out: typeof values["out"] === "string" ? values["out"] : null,
    help,
  };
  return faults.length > 0 ? { faults } : options;
}

type Parsed = { readonly values: Record<string, unknown>; readonly versions: readonly string[] };

function parsed(args: readonly string[], faults: string[]): Parsed {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        people: text,
        limit: text,
        rounds: text,
        ramp: text,
        deadline: text,
        url: text,
        out: text,
        help: { type: "boolean", short: "h" },
      },
    });
    return { values, versions: positionals };
  } catch (error) {
    // An unknown option or a missing value: parseArgs says which. The versions were not looked at.
    faults.push(error instanceof Error ? error.message : String(error));
    return { values: {}, versions: ["all"] };
  }
}

function chosen(versions: readonly string[], faults: string[]): readonly Mechanism[] {
  const found = versions.flatMap((name): readonly Mechanism[] => {
    if (name === "all") return allMechanisms;
    const match = allMechanisms.find((one) => one === name || mechanisms[one].version === name);
    if (match === undefined) faults.push(`The versions are v1, v2, v3 and all, not "${name}".`);
    return match === undefined ? [] : [match];
  });
  return [...new Set(found)];
}

function serverUrl(value: unknown, faults: string[]): string | null {
  if (typeof value !== "string") return null;
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url?.protocol === "http:" && url.pathname === "/" && url.search === "") return url.origin;
  faults.push(`--url is the root of a server that speaks plain HTTP, not "${value}".`);
  return null;
}
