// The deployment on a real container engine, where there can be one: npm run containers, as a test.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { join } from "node:path";
import { engineMissing, ROOT } from "./prepare.ts";

const missing = engineMissing();
const isFailure = missing !== null && process.env["STAMPEDE_NO_SKIPS"] === "1";
const skip = missing === null || isFailure ? false : `no container engine here: ${missing}`;

test(
  "the deployment runs on a real container engine, one machine and cluster",
  { skip },
  async (t) => {
    const main = join(import.meta.dirname, "main.ts");
    const child = spawn(process.execPath, [main], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => child.kill("SIGTERM"));
    let output = "";
    child.stdout.on("data", (part: Buffer) => {
      output += part.toString("utf8");
    });
    const [code]: unknown[] = await once(child, "close");
    for (const line of output.trimEnd().split("\n")) t.diagnostic(line);
    assert.equal(code, 0, output);
  },
);
