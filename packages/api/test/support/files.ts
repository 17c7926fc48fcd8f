import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** The path of a file that is gone after the test. */
export function fileWith(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "keys.json");
  writeFileSync(path, text);
  return path;
}
