import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "./processes.ts";
import { sentence } from "./system-errors.ts";

const javaVersionMin = 17;
const answerMsMax = 20_000;
const noJava = "there is no java on the PATH.";

/** What Java itself would take options from, and tell so on its error stream. */
const optionNames = new Set([
  "JAVA_TOOL_OPTIONS",
  "_JAVA_OPTIONS",
  "JDK_JAVA_OPTIONS",
  "CLASSPATH",
]);

/**
 * What Java is run with. A version manager's wrapper looks for its own folder under HOME. In the locale C
 * Java cannot read a path like `바탕화면`: the jars are there, and it does not find a class in them.
 */
export function javaEnvironment(): Readonly<Record<string, string>> {
  const { PATH = "", HOME } = process.env;
  return { PATH, LC_ALL: "C.UTF-8", ...(HOME === undefined ? {} : { HOME }) };
}

/**
 * The path of a Java that is new enough, else a sentence that says what was found instead. Behind the
 * wrapper of a version manager it is the program itself: the wrapper chooses by the folder it is called
 * in, and engines are started in folders of their own.
 */
export function findJava(): { readonly java: string } | { readonly fault: string } {
  const { JAVA_HOME: javaHome } = process.env;
  const candidates = javaHome ? [join(javaHome, "bin", "java"), "java"] : ["java"];
  const faults: string[] = [];
  for (const candidate of candidates) {
    const found = ask(candidate);
    if ("java" in found) return found;
    faults.push(found.fault);
  }
  // One that is there and does not fit says more than one that is not.
  const fault = faults.find((one) => one !== noJava) ?? noJava;
  const wrongHome = javaHome && !existsSync(candidates[0] ?? "");
  return { fault: wrongHome ? `JAVA_HOME (${javaHome}) holds no Java, and ${fault}` : fault };
}

function ask(command: string): { readonly java: string } | { readonly fault: string } {
  const kept = Object.entries(process.env).filter(([name]) => !optionNames.has(name));
  const { error, status, stdout, stderr } = spawnSync(
    command,
    ["-XshowSettings:properties", "-version"],
    { encoding: "utf8", env: Object.fromEntries(kept), timeout: answerMsMax },
  );
  if (errorCode(error) === "ENOENT") return { fault: noJava };
  if (error !== undefined) return { fault: `${command} does not run (${sentence(error)}).` };
  const said = `${stdout}\n${stderr}`;
  // Java 8 calls itself 1.8.
  const version = Number(/version "(?:1\.)?(?<major>\d+)/.exec(said)?.groups?.["major"]);
  if (status !== 0 || Number.isNaN(version)) {
    const first = said.split("\n").find((line) => line.trim() !== "");
    return { fault: `${command} does not run (${first?.trim() ?? `exit ${status}`}).` };
  }
  if (version < javaVersionMin) {
    return { fault: `the Java here is version ${version}, older than ${javaVersionMin}.` };
  }
  const home = /^\s*java\.home = (?<home>.+)$/m.exec(said)?.groups?.["home"];
  const program = home === undefined ? command : join(home, "bin", "java");
  return { java: existsSync(program) ? program : command };
}
