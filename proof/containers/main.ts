// npm run containers [-- --all]: the deployment on a real container engine of its own (docs/deploying.md).
// Makes what it needs once, in the user's cache folder; ends with everything that it has started.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../support/command.ts";
import { startMachine } from "./machine.ts";
import {
  buildStandIns,
  cacheFolder,
  engineMissing,
  prepareParts,
  prepareRoots,
  ROOT,
} from "./prepare.ts";
import { steps } from "./steps.ts";
import { must } from "./tool.ts";

const msMax = 45 * 60_000;
/** Somebody else's, as when a clone of one user is started by another. */
const ownerOfClone = 4_321;

await runCommand(run, { what: "The containers", msMax });

async function run(signal: AbortSignal): Promise<number> {
  const missing = engineMissing();
  if (missing !== null) {
    console.log(`Containers: not run, for ${missing}.`);
    return process.env["STAMPEDE_NO_SKIPS"] === "1" ? 1 : 0;
  }
  await using stack = new AsyncDisposableStack();
  const step = steps();
  const cache = cacheFolder();
  const clone = mkdtempSync(join(tmpdir(), "stampede-clone-"));
  stack.defer(() => rmSync(clone, { recursive: true, force: true }));
  let parts = "";
  let pid = 0;
  const isReady =
    (await step("Debian for a machine of its own", () => prepareRoots(cache, signal))) &&
    (await step("programs for the stand-ins", async () => {
      parts = await prepareParts(cache, signal);
      return "of this project";
    })) &&
    (await step("a container engine", async () => {
      await copyTree(clone);
      const machine = await startMachine({ cache, clone });
      stack.defer(machine.stop);
      pid = machine.pid;
      return "private: own namespaces, network and data";
    })) &&
    (await step("stand-ins for the public images", () =>
      buildStandIns(pid, { cache, parts, signal }),
    ));
  if (!isReady || signal.aborted) return 1;
  // Awaited here: what is used is ended when this returns.
  return await runCourse(pid, clone, signal);
}

/** The tree as a clone with umask 077 would have it, of a user who is not the one that starts it. */
async function copyTree(clone: string): Promise<void> {
  const list = "git ls-files -z --cached --others --exclude-standard";
  const script = `${list} | tar --null --files-from=- --ignore-failed-read --create | tar --extract --no-same-permissions --directory="$CLONE" && chown -R ${ownerOfClone} "$CLONE"`;
  await must("sh", ["-c", `umask 077 && ${script}`], {
    folder: ROOT,
    environment: { CLONE: clone },
  });
}

async function runCourse(pid: number, clone: string, signal: AbortSignal): Promise<number> {
  const course = join(import.meta.dirname, "course.ts");
  const args = [`--net=/proc/${pid}/ns/net`, process.execPath, course, String(pid), clone];
  const child = spawn("nsenter", [...args, ...process.argv.slice(2)], { stdio: "inherit" });
  const end = (): boolean => child.kill("SIGTERM");
  signal.addEventListener("abort", end, { once: true });
  const [code] = await once(child, "exit");
  return typeof code === "number" ? code : 1;
}
