// Java as people have it: behind the wrapper of a version manager, too old, or named by a JAVA_HOME that
// is wrong. Each is a script that answers as the real one does.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { findJava } from "../src/java.ts";
import { missing } from "../testing/index.ts";

test(
  "behind a wrapper that needs HOME the Java itself is found",
  { skip: missing("kafka") },
  (t) => {
    const real = findJava();
    assert.ok("java" in real);
    machine(t, ['[ -n "$HOME" ] || exit 126', `exec '${real.java}' "$@"`]);
    assert.deepEqual(findJava(), real);
    process.env["JAVA_TOOL_OPTIONS"] = "-Dread=by-nobody";
    process.env["_JAVA_OPTIONS"] = "-Xmx1k";
    assert.deepEqual(findJava(), real);
  },
);

test("a Java that is too old is called by its version, also where that begins with 1", (t) => {
  for (const [version, major] of [
    ["1.8.0_392", 8],
    ["11.0.21", 11],
  ]) {
    machine(t, [`echo 'openjdk version "${version}" 2023-10-17' >&2`]);
    assert.deepEqual(findJava(), { fault: `the Java here is version ${major}, older than 17.` });
  }
});

test("a Java that does not run is told with its own words", (t) => {
  machine(t, ["echo 'No version is set for command java' >&2", "exit 126"]);
  assert.deepEqual(findJava(), {
    fault: "java does not run (No version is set for command java).",
  });
});

test("a JAVA_HOME without a Java is named, and the one on the PATH is taken where there is one", (t) => {
  const folder = machine(t, ["exit 1"]);
  rmSync(join(folder, "java"));
  process.env["PATH"] = folder;
  process.env["JAVA_HOME"] = join(folder, "gone");
  assert.deepEqual(findJava(), {
    fault: `JAVA_HOME (${join(folder, "gone")}) holds no Java, and there is no java on the PATH.`,
  });
  writeFileSync(join(folder, "java"), "#!/bin/sh\necho 'openjdk version \"21.0.1\"' >&2\n", {
    mode: 0o755,
  });
  assert.deepEqual(findJava(), { java: "java" });
});

/** A machine whose PATH begins with such a `java`, until the test ends. */
function machine(t: TestContext, lines: readonly string[]): string {
  const names = ["PATH", "JAVA_HOME", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"];
  const before = names.map((name) => [name, process.env[name]] as const);
  const folder = mkdtempSync(join(tmpdir(), "stampede-java-"));
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(folder, { recursive: true, force: true });
  });
  writeFileSync(join(folder, "java"), ["#!/bin/sh", ...lines, ""].join("\n"), { mode: 0o755 });
  process.env["PATH"] = `${folder}${delimiter}${process.env["PATH"] ?? ""}`;
  delete process.env["JAVA_HOME"];
  return folder;
}
