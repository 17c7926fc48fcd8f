import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { userInfo } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { EngineName, EngineOptions } from "./engine.ts";
import { EngineUnavailable } from "./engine.ts";
import { waitForLock } from "./folder-lock.ts";
import { errorCode, signalGroup } from "./processes.ts";

export type Fetch = {
  readonly engine: EngineName;
  readonly title: string;
  readonly sizeMb: number;
  readonly folderName: string;
  readonly pomPath: string;
  readonly goal: "copy-dependencies" | "unpack-dependencies";
  readonly settings: Readonly<Record<string, string>>;
  /** Last touches to the fetched folder before anybody else can see it. */
  readonly prepare?: (folder: string) => void;
  readonly remedy: string;
  readonly options: FetchOptions;
};

export type FetchOptions = Partial<
  Pick<EngineOptions, "dataFolder" | "cacheFolder" | "report" | "signal">
>;

const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";
const fetchMsMax = 15 * 60_000;
const progressMs = 2_000;

/** What says that Maven has reached no repository. */
const unreached = /Could not transfer|Unknown host|Connect(?:ion)? .*(?:refused|timed out|failed)/i;

/** Where engines are kept for every data folder, so that `--fresh` and tests need no download. */
const defaultCacheFolder: string = fileURLToPath(
  new URL("../../../.stampede/engines", import.meta.url),
);

/**
 * Returns a folder of the cache with what the pom names, fetched at the first call. The folder
 * appears whole, by a rename, and under a lock: `npm start` and `npm test` may ask at once.
 */
export async function fetchByMaven(fetch: Fetch): Promise<string> {
  // Of the pom as well, so that a changed version is not mistaken for the one already there.
  const mark = createHash("sha256").update(readFileSync(fetch.pomPath)).digest("hex").slice(0, 8);
  const name = `${fetch.folderName}-${process.platform}-${process.arch}-${mark}`;
  const caches = cachesFor(fetch.options);
  const fetchedBefore = caches.map((cache) => join(cache, name)).find((path) => existsSync(path));
  if (fetchedBefore !== undefined) return fetchedBefore;
  const cache = caches.find(mayWrite) ?? caches[0] ?? defaultCacheFolder;
  const folder = join(cache, name);
  mkdirSync(cache, { recursive: true });
  const lock = await waitForLock(`${folder}.lock`, {
    signal: fetch.options.signal,
    onWait: () =>
      fetch.options.report?.(
        `Waiting for another process to fetch ${fetch.title}: it holds ${folder}.lock.`,
      ),
  });
  const draft = `${folder}.${randomBytes(4).toString("hex")}.new`;
  try {
    if (existsSync(folder)) return folder;
    // The plugin leaves marks beside the pom, and the source tree may be read-only or shared.
    mkdirSync(draft);
    const pomPath = join(draft, "pom.xml");
    copyFileSync(fetch.pomPath, pomPath);
    const fetched = join(draft, "fetched");
    await runMaven({ ...fetch, pomPath }, fetched);
    fetch.prepare?.(fetched);
    renameSync(fetched, folder);
    return folder;
  } finally {
    rmSync(draft, { recursive: true, force: true });
    lock.release();
  }
}

/** The project's own; the data folder for somebody who may not write to the project. */
function cachesFor({ cacheFolder, dataFolder }: FetchOptions): readonly string[] {
  if (cacheFolder !== undefined) return [resolve(cacheFolder)];
  const own = dataFolder === undefined ? [] : [join(resolve(dataFolder), "engines")];
  return [defaultCacheFolder, ...own];
}

/** Whether the folder, or the first that exists above it, takes a file. */
function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch (error) {
    const above = dirname(folder);
    return errorCode(error) === "ENOENT" && above !== folder && mayWrite(above);
  }
}

/**
 * What Maven is run with beside its work. It keeps a repository where the user's home takes no file, trips
 * over a JAVA_HOME that holds no Java, and reads no path like `바탕화면` in the locale C.
 */
function places(draft: string): { readonly args: string[]; readonly env: NodeJS.ProcessEnv } {
  const { JAVA_HOME: javaHome, ...rest } = process.env;
  const hasJava = javaHome !== undefined && existsSync(join(javaHome, "bin", "java"));
  return {
    args: homeTakesFiles() ? [] : [`-Dmaven.repo.local=${join(draft, "repository")}`],
    env: { ...(hasJava ? process.env : rest), LC_ALL: "C.UTF-8" },
  };
}

/** The home that the system has noted: Java does not ask HOME. */
function homeTakesFiles(): boolean {
  try {
    return mayWrite(join(userInfo().homedir, ".m2", "repository"));
  } catch {
    // A user whom the system does not know, as in containers.
    return false;
  }
}

async function runMaven(fetch: Fetch, outputFolder: string): Promise<void> {
  const report = fetch.options.report ?? (() => undefined);
  report(`Downloading ${fetch.title} (${fetch.sizeMb} MB) by Maven, once.`);
  const { args, env } = places(dirname(outputFolder));
  const child = spawn(
    "mvn",
    [
      ...args,
      // Not -B: batch mode would hide how far a large file is.
      "-f",
      fetch.pomPath,
      `${plugin}:${fetch.goal}`,
      "-DincludeScope=runtime",
      `-DoutputDirectory=${outputFolder}`,
      ...Object.entries(fetch.settings).map(([name, value]) => `-D${name}=${value}`),
    ],
    { detached: true, stdio: ["ignore", "pipe", "pipe"], env },
  );
  const meter = mavenMeter();
  const problems: string[] = [];
  let lastLine = "";
  const read = (chunk: Buffer): void => {
    for (const line of chunk.toString("utf8").split(/[\r\n]+/)) {
      meter.read(line);
      if (/ERROR|(?:Exception|Error): /.test(line)) problems.push(plain(line));
      if (line.trim() !== "") lastLine = plain(line);
    }
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  const kill = (): void => {
    if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
  };
  fetch.options.signal?.addEventListener("abort", kill, { once: true });
  const deadline = setTimeout(kill, fetchMsMax);
  let shown = 0;
  const progress = setInterval(() => {
    const doneMb = Math.floor(meter.megabytes());
    if (doneMb > shown) report(`  ${fetch.title}: ${doneMb} of about ${fetch.sizeMb} MB`);
    shown = Math.max(shown, doneMb);
  }, progressMs);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    fetch.options.signal?.throwIfAborted();
    if (code !== 0)
      throw unavailable(fetch, mavenFailure(problems[0] ?? `${lastLine} (exit ${code})`));
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    throw unavailable(fetch, "it has to be fetched by Maven, and there is no mvn on the PATH.");
  } finally {
    clearTimeout(deadline);
    clearInterval(progress);
    fetch.options.signal?.removeEventListener("abort", kill);
  }
}

/** Why Maven failed; of one that has reached nothing also what it may lack. */
export function mavenFailure(problem: string): string {
  const network =
    "Check the network. Maven does not read HTTPS_PROXY: a proxy, or a mirror of its repository, has " +
    "to be named in ~/.m2/settings.xml.";
  return `Maven failed: ${problem}.${unreached.test(problem) ? ` ${network}` : ""}`;
}

function unavailable(fetch: Fetch, reason: string): EngineUnavailable {
  return new EngineUnavailable(fetch.engine, { reason, remedy: fetch.remedy });
}

/** Counts what Maven says it has downloaded: whole files, and the parts of those under way. */
export function mavenMeter(): { read(line: string): void; megabytes(): number } {
  let whole = 0;
  let partial = 0;
  return {
    read(line) {
      const file = /^Downloaded from .* \((?<size>[\d.]+) (?<unit>B|kB|MB) at/.exec(plain(line));
      if (file?.groups !== undefined) {
        whole += inMegabytes(file.groups["size"], file.groups["unit"]);
        partial = 0;
      } else if (line.startsWith("Progress (")) {
        const parts = line.matchAll(/(?<size>[\d.]+)(?:\/[\d.]+)? (?<unit>B|kB|MB)\b/g);
        partial = [...parts]
          .map(({ groups }) => inMegabytes(groups?.["size"], groups?.["unit"]))
          .reduce((sum, size) => sum + size, 0);
      }
    },
    megabytes: () => whole + partial,
  };
}

function inMegabytes(size: string | undefined, unit: string | undefined): number {
  const bytes = Number(size) * (unit === "MB" ? 1e6 : unit === "kB" ? 1e3 : 1);
  return bytes / 1e6;
}

/** Without the colours that Maven adds on some machines even when nobody looks. */
function plain(line: string): string {
  // oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
  return line.replaceAll(/\u001b\[[\d;]*m/g, "").trim();
}
