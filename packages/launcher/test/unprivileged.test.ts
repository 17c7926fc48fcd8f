import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { asUnprivileged } from "../src/unprivileged.ts";

test(
  "what may not run as root reads a clone that only root may, and asks for it as programs do",
  { skip: process.getuid?.() !== 0 && "only root has to become somebody else" },
  (t) => {
    const folder = mkdtempSync(join(tmpdir(), "stampede-closed-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const closed = join(folder, "closed");
    mkdirSync(closed, { mode: 0o700 });
    const file = join(closed, "file");
    writeFileSync(file, "kept", { mode: 0o600 });
    const runner = asUnprivileged([closed], null);
    assert.ok(runner.user !== undefined && runner.user.uid > 0);
    const code = `if (process.getuid() === 0) throw new Error("root"); fs.accessSync(${JSON.stringify(file)}, fs.constants.R_OK)`;
    const { command, args } = runner.wrap(process.execPath, ["--eval", code]);
    const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  },
);
