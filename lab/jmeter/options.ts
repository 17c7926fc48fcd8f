import { help, integerOf, parsed, serverUrl, text, wordOf } from "../options.ts";

/** What the command line asked for. */
export type JmeterOptions = {
  /** By version or name; null: all that the server has. One that is named and off is an error. */
  readonly mechanisms: readonly string[] | null;
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

  VERSION       v1, v2 and so on, several of them, or all

  --people N    threads, each of them one person with one claim (default 2000)
  --limit N     coupons (default 100)
  --rounds N    how often, every second round in reversed order (default 1)
  --ramp S      seconds in which people arrive, before the instant (default: 500 people a second)
  --deadline S  seconds until an answer counts as missing (default 60)
  --url URL     the server; needs ADMIN_TOKEN and DATABASE_URL in the environment.
                Default: what \`npm start\` runs in this folder, else a private program.
  --out DIR     a new or empty folder for the results (default .stampede/jmeter/TIME)
  --help        this text

Exit status: 0 all right; 1 a wrong or void run, or a fault; 2 bad arguments; 130 Ctrl-C.`;

const bounds = {
  // A thread for each person; docs/jmeter.md says how many fit.
  people: { default: 2_000, least: 1, most: 20_000 },
  limit: { default: 100, least: 1, most: 1_000_000 },
  rounds: { default: 1, least: 1, most: 100 },
  ramp: { default: 0, least: 0, most: 600 },
  deadline: { default: 60, least: 1, most: 3_600 },
} as const;

const arrivalsPerSecond = 500;
const forms = {
  help,
  ...Object.fromEntries([...Object.keys(bounds), "url", "out"].map((name) => [name, text])),
};

/** Parses the arguments, or gives every fault in them at once. */
export function parseJmeterOptions(
  args: readonly string[],
): JmeterOptions | { readonly faults: readonly string[] } {
  const faults: string[] = [];
  const { values, positionals: versions } = parsed(args, forms, faults);
  const number = (name: keyof typeof bounds): number => {
    const { default: byDefault, ...bound } = bounds[name];
    return integerOf(name, values[name], { ...bound, faults }) ?? byDefault;
  };
  const isHelp = values["help"] === true;
  if (versions.length === 0 && !isHelp && faults.length === 0) {
    faults.push("Name a version, such as v1, or all.");
  }
  for (const version of versions) {
    if (!/^[a-z][a-z0-9-]*$/.test(version)) faults.push(`"${version}" is no version.`);
  }
  const people = number("people");
  const options: JmeterOptions = {
    mechanisms: versions.includes("all") ? null : versions,
    people,
    limit: number("limit"),
    rounds: number("rounds"),
    rampSeconds: number("ramp") || Math.max(1, Math.ceil(people / arrivalsPerSecond)),
    deadlineSeconds: number("deadline"),
    url: serverUrl(values, faults),
    out: wordOf("out", values, faults),
    help: isHelp,
  };
  return faults.length > 0 ? { faults } : options;
}
