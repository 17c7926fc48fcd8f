// What --check prints is read by a person at a terminal, and by a script for its exit code.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { areUsable, checkTable } from "../src/check-table.ts";

const RIGHT = {
  engine: "postgres",
  what: "version",
  found: "18.4",
  verdict: "right",
  advice: "",
} as const;
const WARNING = {
  ...RIGHT,
  engine: "redis",
  what: "file",
  verdict: "warning",
  advice: "Set it.",
} as const;
const REFUSED = {
  ...RIGHT,
  what: "encoding",
  found: "SQL_ASCII\n\u001b[31m",
  verdict: "refused",
  advice: "Make one in UTF-8.",
} as const;

describe("the table of a check", () => {
  test("has a line for each finding, and below it what to do", () => {
    assert.equal(
      checkTable([RIGHT, REFUSED, WARNING]),
      [
        "PostgreSQL  version   right    18.4",
        "PostgreSQL  encoding  refused  SQL_ASCII [31m",
        "    -> Make one in UTF-8.",
        "Redis       file      warning  18.4",
        "    -> Set it.",
        "",
        "Stampede does not run on these engines as they are: PostgreSQL is refused above.",
        "",
      ].join("\n"),
    );
    assert.match(checkTable([RIGHT, WARNING]), /Stampede runs on these engines\.\n$/);
  });

  test("comes to a no only where something is refused", () => {
    assert.equal(areUsable([RIGHT, WARNING]), true);
    assert.equal(areUsable([RIGHT, REFUSED]), false);
  });
});

describe("the server's program", () => {
  const main = join(import.meta.dirname, "..", "src", "main.ts");
  const run = (args: readonly string[], DATABASE_URL: string): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, [main, ...args], {
      env: { PATH: process.env["PATH"], DATABASE_URL },
      encoding: "utf8",
    });

  test("with --check tells what is refused and ends with 1, whatever else it could do", () => {
    const { status, stdout } = run(["--check"], "postgres://ana:secret@127.0.0.1:9/shop");
    assert.match(
      String(stdout),
      /PostgreSQL  use  refused  PostgreSQL did not answer: connect ECON/,
    );
    assert.match(String(stdout), /-> Look at host and port in DATABASE_URL/);
    assert.match(String(stdout), /Redis       use  right    off: REDIS_URL is not set/);
    assert.equal(status, 1);
  });

  test("with --check tells a wrong setting as a start does", () => {
    const { status, stderr } = run(["--check"], "mysql://db/shop");
    assert.match(String(stderr), /Stampede cannot start:\n- DATABASE_URL must be a URL/);
    assert.equal(status, 2);
  });

  test("starts nothing where it does not know an argument", () => {
    const { status, stderr } = run(["--look"], "postgres://ana:secret@127.0.0.1:9/shop");
    assert.match(String(stderr), /does not know --look. There is --check/);
    assert.equal(status, 2);
  });
});
