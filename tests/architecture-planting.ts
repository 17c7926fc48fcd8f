import assert from "node:assert/strict";
import type { Rule, SourceFile } from "./architecture-source.ts";

/** A planted file. */
export function file(path: string, text: string): SourceFile {
  return { path, text };
}

/** Each text alone breaks the rule, and the breach is told with the file's path. */
export function breaks(rule: Rule, path: string, ...texts: readonly string[]): void {
  for (const text of texts) {
    const violations = rule([file(path, text)]);
    assert.equal(violations.length, 1, `${text} in ${path}: ${violations.join("; ") || "unseen"}`);
    assert.ok(violations[0]?.startsWith(path), `"${violations[0]}" names no file`);
  }
}

/** None of the texts breaks the rule. */
export function keeps(rule: Rule, path: string, ...texts: readonly string[]): void {
  for (const text of texts) assert.deepEqual(rule([file(path, text)]), [], text);
}
