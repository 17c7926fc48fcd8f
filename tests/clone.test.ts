// A clone as people have it: in a folder whose name is of another alphabet, with a space and brackets,
// made by somebody else, started by a user who is not root, has no home and no locale. Both commands of
// the README, the first on engines of its own.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { isAlive } from "@stampede/launcher";
import { missing, until } from "@stampede/launcher/testing";

const root = join(import.meta.dirname, "..");
const nobody = 65_534;
const startMsMax = 120_000;

describe("a clone in a folder called 바탕화면 (1), of another user", { skip: notHere() }, () => {
  const parent = join(tmpdir(), `stampede-clone-${process.pid}`);
  const clone = join(parent, `it's "a" $HOME; folder`, "바탕화면 (1)");
  const data = join(parent, "데이터");
  before(() => {
    mkdirSync(parent);
    chmodSync(parent, 0o711);
    cloneInto(clone);
    mkdirSync(data);
    // Whatever the umask is.
    chmodSync(data, 0o777);
  });
  after(() => rmSync(parent, { recursive: true, force: true }));

  test(
    "starts with every engine, and ends with npm",
    { skip: missing("postgres", "redis", "kafka") },
    async (t) => {
      const { npm, output } = run(t, clone, ["start", "--", "--data", data]);
      const isUp = (): boolean => {
        assert.ok(npm.exitCode === null, output());
        return output().includes("Stop  ");
      };
      await until(isUp, "npm start is up", { msMax: startMsMax });
      assert.doesNotMatch(output(), / is off/);
      const { url } = JSON.parse(readFileSync(join(data, "server.json"), "utf8"));
      const { events } = JSON.parse(await (await fetch(`${url}/events`)).text());
      assert.equal(events.length, 4, output());
      const { pids } = JSON.parse(readFileSync(join(data, "engines.json"), "utf8"));
      npm.kill("SIGTERM");
      const ended = (): boolean => !Object.values(pids).some((pid) => isAlive(Number(pid)));
      await until(ended, "all that it started has ended", { msMax: startMsMax });
    },
  );

  test("runs a test file", async (t) => {
    const file = "packages/launcher/test/supervise.test.ts";
    const { npm, output } = run(t, clone, ["test", "--", "--engines=none", file]);
    const [code] = await once(npm, "close");
    assert.equal(code, 0, output());
    assert.match(output(), /pass [1-9]/);
  });
});

function notHere(): string | false {
  if (process.platform !== "linux") return "only Linux copies a tree by links";
  const readable = (statSync(join(root, "package.json")).mode & 0o004) !== 0;
  return readable ? false : "this clone was made with a umask that lets nobody else read it";
}

/** The tree by hard links, which cost no room, and which another user may read only. */
function cloneInto(clone: string): void {
  mkdirSync(join(clone, ".stampede"), { recursive: true });
  for (const name of readdirSync(root)) {
    if (name !== ".git" && name !== ".stampede") link(join(root, name), clone);
  }
  // Whoever installed it did so after its lockfile was written; here the one is a link to an older file.
  const stamp = join(clone, "node_modules", ".package-lock.json");
  const installed = readFileSync(stamp);
  rmSync(stamp);
  writeFileSync(stamp, installed);
  chmodSync(stamp, 0o644);
  const engines = join(root, ".stampede", "engines");
  if (existsSync(engines)) link(engines, join(clone, ".stampede"));
}

function link(from: string, into: string): void {
  // On another disk it has to be a copy.
  const ways = ["-al", "-a"].map((way) => () => spawnSync("cp", [way, from, `${into}/`]).status);
  assert.ok(
    ways.some((copy) => copy() === 0),
    `${from} cannot be copied`,
  );
}

function run(
  t: TestContext,
  clone: string,
  args: readonly string[],
): { readonly npm: ChildProcess; readonly output: () => string } {
  const user = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
  const { PATH } = process.env;
  const npm = spawn("npm", args, {
    cwd: clone,
    env: { PATH, HOME: "/nonexistent", LC_ALL: "C", PORT: "0" },
    stdio: ["ignore", "pipe", "pipe"],
    ...user,
  });
  t.after(() => npm.kill("SIGKILL"));
  let output = "";
  for (const stream of [npm.stdout, npm.stderr]) {
    stream.on("data", (chunk) => (output += String(chunk)));
  }
  return { npm, output: () => output };
}
