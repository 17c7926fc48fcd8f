// A case of the fault matrix as data, and what it is given when it runs.
import type { TestContext } from "node:test";
import type { Mechanism } from "./mechanisms.ts";
import type { Course } from "./course.ts";
import type { Beside } from "./neighbours.ts";
import type { Notes } from "./notes.ts";
import type { Places, SellingPlaceName } from "./places.ts";
import type { Cleaning } from "./support/cleaning.ts";
import { buildBeforeMissing } from "./support/build-before.ts";
import { straceMissing } from "./support/failing-disk.ts";
import { procMissing } from "./support/processes.ts";
import { smallDiskMissing } from "./support/small-disk.ts";
import { faketimeMissing } from "./support/wrong-clock.ts";

/** Reasons why this machine lacks what a case needs; false where it does not. */
export const needs = {
  /** To see, stop and kill processes. */
  proc: procMissing,
  /** To mount a disk of a few megabytes. */
  root: smallDiskMissing,
  strace: straceMissing,
  faketime: faketimeMissing,
  /** To start a build of the project's past. */
  history: buildBeforeMissing,
} as const;

type Need = keyof typeof needs;

type About = {
  /** In docs/dictionary.md; several cases may have one id. */
  readonly id: string;
  /** Who meets the fault, each with a report of its own; "nobody" where nothing is sold. */
  readonly mechanisms: readonly Mechanism[] | "nobody";
  /** Once for each mechanism instead of one sale beside the other. */
  readonly apart?: true;
  /** What is done to what, and when: half a sentence. */
  readonly injects: string;
  /** What must hold nevertheless. */
  readonly holds: string;
  /** The first of `npm test`, `npm run proof` and `npm run faults` that runs it. */
  readonly runs: "test" | "proof" | "all";
  readonly needs?: readonly Need[];
  /** The rare situations that it is for; one that is never met makes it void. */
  readonly expects?: readonly string[] | ((mechanism: Mechanism) => readonly string[]);
  /** What people do on the fifty other events of its program; "claimed", unless told (neighbours.ts). */
  readonly beside?: Beside;
  /** Opened for this case alone, whatever the one before has left. */
  readonly fresh?: true;
};

/** Either a course that the runner sells through, or a program of its own. */
type How<Name extends keyof Places> = Name extends SellingPlaceName
  ?
      | { readonly course: Course<Places[Name]>; readonly run?: never }
      | { readonly run: (stage: Stage<Places[Name]>) => Promise<unknown>; readonly course?: never }
  : { readonly run: (stage: Stage<Places[Name]>) => Promise<unknown>; readonly course?: never };

type CaseAt<Name extends keyof Places> = About & { readonly place: Name } & How<Name>;

export type FaultCase = { [Name in keyof Places]: CaseAt<Name> }[keyof Places];

/** Where a case happens, by what chance, and who writes down what it comes to. */
export type Stage<At = unknown> = Pick<Notes, "injected" | "met"> & {
  /** What is started for this case alone ends by its `after`. */
  readonly t: Cleaning & Pick<TestContext, "diagnostic">;
  readonly at: At;
  readonly mechanisms: readonly Mechanism[];
  /** Nothing else runs: figures are the case's own. */
  readonly alone: boolean;
  /** The report of one mechanism; `injected` and `met` of the stage write into all of them. */
  readonly notes: (mechanism: Mechanism) => Notes;
  /** From 0 to 1, the same numbers for the same seed: the moments of the faults. */
  readonly random: () => number;
  /** One of `from` to `to`, both included, by the seed. */
  readonly pick: (from: number, to: number) => number;
};
