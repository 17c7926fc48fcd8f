// The planted bugs: each is a patch, and its head says what is broken and what finds it.
//
//   A sentence: who does what wrong.
//
//   Check: a test file, as seen from the root
//   Test: the test in it that turns red, by the beginning of its name
//   Because: a regular expression for what its failure says
//   Environment: NAME=value ... (where the check needs any)
//
//   Seed: a mechanism and the seed of its simulated sale, e.g. row-lock 13
//   Breaks: the promise that this sale breaks, e.g. S3
//
//   diff --git ...
//
// A head names a test, a simulated sale, or both; each of them has to find the bug. The numbers are those
// of the known design errors B1 to B49, and of mistakes that came later; one that covers several mistakes
// has several patches. The check is the quickest that is sufficient; what else finds the same bug (cases of
// the fault matrix) is not named. "Because" and "Breaks" keep a patch that merely breaks the build from
// counting as found.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Mechanism } from "@stampede/domain";

export type TestCheck = {
  readonly file: string;
  readonly test: string;
  readonly because: RegExp;
  readonly environment: Readonly<Record<string, string>>;
};

export type SaleCheck = {
  readonly mechanism: Mechanism;
  readonly seed: number;
  /** S1 to S27, L1 to L7. */
  readonly breaks: string;
};

export type PlantedBug = {
  /** B1 and so on. */
  readonly bug: string;
  readonly patch: string;
  readonly what: string;
  /** What the patch changes, as seen from the root. */
  readonly changes: readonly string[];
  readonly test: TestCheck | null;
  readonly sale: SaleCheck | null;
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
  const number = /^B(?<number>\d\d)-/.exec(patch)?.groups?.["number"];
  const what = /^\S.*\.$/.exec(head.split("\n", 1)[0] ?? "")?.[0];
  const [test, sale] = [testOf(head), saleOf(head)];
  if (number === undefined || what === undefined) {
    throw new Error(`The head of ${patch} lacks its number or its sentence.`);
  }
  if (test === "lacking" || sale === "lacking" || (test === null && sale === null)) {
    throw new Error(
      `The head of ${patch} lacks Check, Test and Because, or Seed and Breaks, or a part of them.`,
    );
  }
  const changes = [...text.matchAll(/^diff --git a\/(?<path>\S+) /gm)].map(
    ({ groups }) => groups?.["path"] ?? "",
  );
  return { bug: `B${Number(number)}`, patch, what, changes, test, sale };
}

function testOf(head: string): TestCheck | "lacking" | null {
  const [file, test, because] = ["Check", "Test", "Because"].map((name) => lineOf(head, name));
  if (file === undefined && test === undefined && because === undefined) return null;
  if (file === undefined || test === undefined || because === undefined) return "lacking";
  const pairs = (lineOf(head, "Environment") ?? "").split(" ").filter((pair) => pair !== "");
  const environment = Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  return { file, test, because: new RegExp(because), environment };
}

function saleOf(head: string): SaleCheck | "lacking" | null {
  const [sale, breaks] = [lineOf(head, "Seed"), lineOf(head, "Breaks")];
  if (sale === undefined && breaks === undefined) return null;
  const { mechanism, seed } = /^(?<mechanism>[\w-]+) (?<seed>\d+)$/.exec(sale ?? "")?.groups ?? {};
  if (mechanism === undefined || breaks === undefined) return "lacking";
  return { mechanism, seed: Number(seed), breaks };
}

function lineOf(head: string, name: string): string | undefined {
  return new RegExp(`^${name}: (?<value>.+)$`, "m").exec(head)?.groups?.["value"];
}
