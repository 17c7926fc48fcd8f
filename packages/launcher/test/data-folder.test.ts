import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { fileSystemOf, heldSentence, lockFolder } from "../src/data-folder.ts";
import { LaunchRefused } from "../src/refused.ts";

test("a folder that a launcher of this machine has is refused with its process", (t) => {
  const folder = temporaryFolder(t);
  const lock = lockFolder(folder);
  t.after(() => lock.release());
  assert.throws(
    () => lockFolder(folder),
    (error) =>
      error instanceof LaunchRefused &&
      (process.platform !== "linux" ||
        error.message.includes(`already runs on ${folder}: launcher process ${process.pid},`)),
  );
});

test("a lock that no process here holds is told with its file system and with who noted it", (t) => {
  const folder = temporaryFolder(t);
  const nobody = { folder, path: join(folder, "launcher.lock"), holder: null };
  const url = "http://127.0.0.1:3000";
  const elsewhere = heldSentence({ ...nobody, noted: { pid: 77, host: "nas1", url } });
  assert.match(elsewhere, new RegExp(`by no process of this machine \\(${hostname()}\\)`));
  assert.match(elsewhere, /process 77 of the machine nas1, http:\/\/127\.0\.0\.1:3000/);
  assert.match(elsewhere, /keeps the lock of one that is gone.*--data FOLDER/);
  assert.ok(elsewhere.includes(fileSystemOf(folder)));
  const unknown = heldSentence({ ...nobody, noted: { pid: null, host: null, url } });
  assert.match(unknown, /nobody noted who/);
});

test("a lock file that is no such thing is refused in words", (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, "launcher.lock");
  writeFileSync(path, "somebody wrote this by hand, and it is long enough to be read\n".repeat(80));
  assert.throws(
    () => lockFolder(folder),
    /launcher\.lock cannot be locked \(file is not a database\)/,
  );
});

test(
  "the kind of a file system is told where the system tells it",
  { skip: process.platform !== "linux" && "only Linux tells it" },
  () => {
    assert.equal(fileSystemOf("/proc/self"), "the folder is on a file system of the kind proc");
  },
);

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-folder-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
