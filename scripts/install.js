// Runs before `npm start`, `npm test` and the like, on whatever Node the machine has (20 or newer):
// installs the locked dependencies when they are missing or older than the lockfile, so that one
// command is enough on a fresh clone.
import { spawnSync } from "node:child_process";
import { existsSync, statSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lockfile = join(root, "package-lock.json");
const stamp = join(root, "node_modules", ".package-lock.json");

if (!existsSync(stamp) || statSync(stamp).mtimeMs < statSync(lockfile).mtimeMs) {
  console.log("Installing the locked dependencies (npm ci) ...");
  const { status, error } = spawnSync(
    process.platform === "win32" ? "npm.cmd" : "npm",
    ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
    { cwd: root, stdio: "inherit" },
  );
  if (status !== 0) {
    console.error(
      `npm ci failed${error ? `: ${error.message}` : ""}. Check the network, then run the command again.`,
    );
    process.exit(status ?? 1);
  }
  if (existsSync(stamp)) utimesSync(stamp, new Date(), new Date());
}
