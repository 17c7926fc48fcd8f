// The planted bugs: each is a patch, and its head says what is broken and what finds it.
//
//   A sentence: what is broken.
//
//   Check: a test file, as seen from the root
//   Test: the test in it that turns red, by the beginning of its name
//   Because: a regular expression for what its failure says
//   Environment: NAME=value ... (where the check needs any)
//
//   diff --git ...
//
// The numbers are those of the known design errors B1 to B49; one that covers several mistakes has
// several patches. The check is the quickest that is sufficient, as a rule an adapter's test on a real
// engine; what else finds the same bug (rows of the fault matrix, simulated sales) is not named. "Because"
// keeps a patch that merely breaks the build from counting as found.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export type PlantedBug = {
  /** B1 to B49. */
  readonly bug: string;
  readonly patch: string;
  readonly what: string;
  readonly file: string;
  readonly test: string;
  readonly because: RegExp;
  readonly environment: Readonly<Record<string, string>>;
};

export const PATCHES: string = join(import.meta.dirname, "patches");

/** In the order of their numbers. */
export function readBugs(): readonly PlantedBug[] {
  return readdirSync(PATCHES)
    .filter((name) => name.endsWith(".patch"))
    .sort()
    .map((patch) => bugOf(patch, readFileSync(join(PATCHES, patch), "utf8")));
}

/** Throws where the head lacks a line. */
export function bugOf(patch: string, text: string): PlantedBug {
  const [head = ""] = text.split(/^diff --git /m, 1);
  const line = (name: string): string | undefined =>
    new RegExp(`^${name}: (?<value>.+)$`, "m").exec(head)?.groups?.["value"];
  const number = /^B(?<number>\d\d)-/.exec(patch)?.groups?.["number"];
  const what = /^\S.*\.$/.exec(head.split("\n", 1)[0] ?? "")?.[0];
  const [file, test, because] = [line("Check"), line("Test"), line("Because")];
  if (
    number === undefined ||
    what === undefined ||
    file === undefined ||
    test === undefined ||
    because === undefined
  ) {
    throw new Error(`The head of ${patch} lacks its sentence, Check, Test or Because.`);
  }
  const pairs = (line("Environment") ?? "").split(" ").filter((pair) => pair !== "");
  const environment = Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  const bug = `B${Number(number)}`;
  return { bug, patch, what, file, test, because: new RegExp(because), environment };
}
