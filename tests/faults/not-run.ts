// The rows of the matrix that cannot be produced where this runs, each with its reason. Every row has a
// test; some need a tool, or a right, that not every machine has. `npm run faults` prints these rows, and
// fails for a row that is neither here nor reported, and for one that is both.
import { straceMissing } from "./support/failing-disk.ts";
import { smallDiskMissing } from "./support/small-disk.ts";
import { faketimeMissing } from "./support/wrong-clock.ts";

const needs: readonly (readonly [reason: string | false, rows: readonly string[]])[] = [
  [smallDiskMissing, ["P8", "R12", "K9"]],
  [straceMissing, ["P9"]],
  [faketimeMissing, ["T1", "T3"]],
];

export const notRun: Readonly<Record<string, string>> = Object.fromEntries(
  needs.flatMap(([reason, rows]) => (reason === false ? [] : rows.map((row) => [row, reason]))),
);
