import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { fetchByMaven, mavenFailure, mavenMeter } from "../src/maven.ts";

test("counts whole files and the parts of those under way in what Maven prints", () => {
  const meter = mavenMeter();
  meter.read("Downloading from central: https://example.invalid/a.jar");
  meter.read("Progress (2): 1.5/4.0 MB | 500/900 kB");
  assert.equal(meter.megabytes(), 2);
  meter.read("Downloaded from central: https://example.invalid/a.jar (4.0 MB at 2.1 MB/s)");
  assert.equal(meter.megabytes(), 4);
  meter.read("Progress (1): 900 kB");
  assert.equal(meter.megabytes(), 4.9);
  meter.read("\u001b[0mDownloaded from central: https://example.invalid/b.pom (900 kB at 1 MB/s)");
  assert.equal(meter.megabytes(), 4.9);
});

test("anything else that Maven prints counts for nothing", () => {
  const meter = mavenMeter();
  for (const line of ["", "[INFO] BUILD SUCCESS", "(5 MB at 1 MB/s)", "Progress"]) meter.read(line);
  assert.equal(meter.megabytes(), 0);
});

test("a Maven that reaches nothing is told with what it may lack, any other with its own words", () => {
  const offline =
    "[ERROR] Could not transfer artifact a:b:1 from/to central: Unknown host repo.invalid";
  assert.match(
    mavenFailure(offline),
    /Unknown host .* Check the network\. Maven does not read HTTPS_PROXY/,
  );
  const old = "[ERROR] The plugin requires Maven version 3.6.3";
  assert.equal(mavenFailure(old), `Maven failed: ${old}.`);
});

test("Maven is run so that it reads any folder's name, and without a JAVA_HOME that is wrong", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "stampede-maven-"));
  const { PATH, JAVA_HOME, LC_ALL } = process.env;
  t.after(() => {
    for (const [name, value] of Object.entries({ PATH, JAVA_HOME, LC_ALL })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(folder, { recursive: true, force: true });
  });
  const script = [
    "#!/bin/sh",
    'for word; do case "$word" in -DoutputDirectory=*) mkdir "${word#*=}";; esac; done',
    'echo "Exception in thread main: LC_ALL=$LC_ALL JAVA_HOME=$JAVA_HOME"',
    '[ "$LC_ALL" = C.UTF-8 ] && [ -z "$JAVA_HOME" ]',
  ];
  writeFileSync(join(folder, "mvn"), `${script.join("\n")}\n`, { mode: 0o755 });
  process.env["PATH"] = `${folder}${delimiter}${PATH ?? ""}`;
  process.env["LC_ALL"] = "C";
  process.env["JAVA_HOME"] = join(folder, "gone");
  const pomPath = join(folder, "pom.xml");
  writeFileSync(pomPath, "<project/>");
  const cacheFolder = join(folder, "바탕화면 (1)");
  const fetched = await fetchByMaven({
    engine: "kafka",
    title: "Nothing",
    sizeMb: 1,
    folderName: "nothing",
    pomPath,
    goal: "copy-dependencies",
    settings: {},
    remedy: "",
    options: { cacheFolder },
  });
  assert.ok(fetched.startsWith(cacheFolder) && existsSync(fetched));
});
