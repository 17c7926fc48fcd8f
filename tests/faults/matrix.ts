// The rows of the fault matrix (docs/guarantees.md), and which of them some files test.
import { readFileSync } from "node:fs";

/** Letter and last number of each part: application, PostgreSQL, Redis, Kafka, clients, time, operations. */
const parts = { A: 12, P: 14, R: 13, K: 19, N: 11, T: 4, O: 7 } as const;

export const matrixRows: readonly string[] = Object.entries(parts).flatMap(([letter, last]) =>
  Array.from({ length: last }, (_, n) => `${letter}${n + 1}`),
);

/** What a sale without a fault reports itself as. */
export const faultless = "none";

export type RowFile = { readonly file: string; readonly rows: readonly string[] };

/** The rows whose names stand in the files, in quotes, as `faultRow` wants them. */
export function rowsIn(files: readonly string[]): RowFile[] {
  return files.map((file) => {
    const text = readFileSync(file, "utf8");
    return { file, rows: [...matrixRows, faultless].filter((row) => text.includes(`"${row}"`)) };
  });
}
