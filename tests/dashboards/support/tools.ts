import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

/** The project's root. */
export const repository = join(import.meta.dirname, "..", "..", "..");
export const prometheusFolder = join(repository, "deploy", "prometheus");
export const grafanaFolder = join(repository, "deploy", "grafana");

const run = promisify(execFile);
const names = ["prometheus", "promtool"] as const;

/**
 * For `skip`: false when Prometheus' two programs are there, else the reason. With
 * STAMPEDE_NO_SKIPS=1, as in CI, it throws: a proof that did not run is no proof.
 */
export function prometheusMissing(): string | false {
  const absent = names.find((name) => find(name) === null);
  if (absent === undefined) return false;
  const reason = `no ${absent} on the PATH: install Prometheus (Debian: apt-get install prometheus)`;
  if (process.env["STAMPEDE_NO_SKIPS"] === "1") throw new Error(reason);
  return reason;
}

/** Where the program is, for tests that `prometheusMissing` does not skip. */
export function programPath(name: (typeof names)[number]): string {
  const path = find(name);
  if (path === null) throw new Error(`no ${name} on the PATH`);
  return path;
}

/** What a program wrote when it ended well; where it did not, an error with all that it wrote. */
export async function outputOf(file: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(file, [...args], { cwd: repository });
    return stdout + stderr;
  } catch (cause) {
    // It ended badly; its two outputs say why, and the error's message does not.
    const { stdout = "", stderr = "" } = cause as { stdout?: string; stderr?: string };
    throw new Error(`${file} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause });
  }
}

function find(name: string): string | null {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder, or not ours to run.
    }
  }
  return null;
}
