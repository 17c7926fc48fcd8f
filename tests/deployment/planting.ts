// A rule is first seen to fail: on a deployment with one mistake.
import assert from "node:assert/strict";
import { composeOf, readFile } from "./compose-model.ts";
import type { Deployment } from "./compose-model.ts";

/** compose.yaml with one piece of its text replaced. */
export function planted(piece: string, by: string): Deployment {
  const text = readFile("compose.yaml");
  assert.ok(text.includes(piece), `compose.yaml has no ${piece} to replace`);
  return composeOf(["compose.yaml"], () => text.replace(piece, by));
}

export function breaks(faults: readonly string[], expected: RegExp): void {
  assert.ok(
    faults.some((fault) => expected.test(fault)),
    `nothing like ${expected} in ${JSON.stringify(faults)}`,
  );
}
