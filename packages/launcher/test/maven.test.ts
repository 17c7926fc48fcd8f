import assert from "node:assert/strict";
import { test } from "node:test";
import { mavenMeter } from "../src/maven.ts";

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
