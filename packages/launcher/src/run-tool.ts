import { spawn } from "node:child_process";
import { StartFailed } from "./child.ts";
import { sentence } from "./system-errors.ts";

export type Tool = {
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  readonly signal?: AbortSignal | undefined;
};

const toolMsMax = 60_000;
const outputCharactersMax = 2_000;

/** Runs a program to its end. Rejects with the end of its output unless it exits with 0. */
export async function runTool(tool: Tool): Promise<void> {
  const deadline = AbortSignal.timeout(toolMsMax);
  const signal = tool.signal === undefined ? deadline : AbortSignal.any([deadline, tool.signal]);
  const child = spawn(tool.command, tool.args, {
    cwd: tool.folder,
    env: tool.environment,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    signal,
    killSignal: "SIGKILL",
    ...tool.user,
  });
  let output = "";
  const read = (chunk: Buffer): void => {
    output = (output + chunk.toString("utf8")).slice(-outputCharactersMax);
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  const failures: Error[] = [];
  child.once("error", (error) => {
    failures.push(error);
  });
  // "close" also comes after "error", and only then is the program certainly gone.
  const code = await new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  tool.signal?.throwIfAborted();
  if (failures.length > 0 || code !== 0) {
    const why = failures.map(sentence)[0] ?? `exit ${code}`;
    throw new StartFailed(`${tool.title} failed (${why}).`, output.trim());
  }
}
