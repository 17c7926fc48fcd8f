// The saved run that docs/referee.md reads line by line. Red when the referee calls it by other words
// than the page quotes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { judge, readSavedRun, verdictText } from "@stampede/referee";

const docs = join(import.meta.dirname, "..", "..", "docs");

test("the wrong sale of docs/referee.md is judged as the page says", async () => {
  const run = await readSavedRun(join(docs, "examples", "one-coupon-told-to-two.jsonl"));
  const verdict = verdictText(run, judge(run));
  assert.match(verdict, /^WRONG: 1 event, 14 attempts, 1 row\n/);
  const page = readFileSync(join(docs, "referee.md"), "utf8");
  assert.ok(page.includes(verdict), `the page does not quote:\n${verdict}`);
});
