// Programs that are run to their end, with what they said.
import { spawn } from "node:child_process";
import { once } from "node:events";

export type Outcome = { readonly code: number | null; readonly output: string };

export type RunOptions = {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly msMax?: number;
  readonly signal?: AbortSignal;
  /** What comes to its standard input. */
  readonly input?: string;
};

const usualMsMax = 120_000;

/** Runs a program to its end, output and errors together. It is killed when its time is over. */
export async function runToEnd(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const { folder, environment, msMax = usualMsMax, signal, input = "" } = options;
  signal?.throwIfAborted();
  const deadline = AbortSignal.timeout(msMax);
  const child = spawn(command, args, {
    ...(folder === undefined ? {} : { cwd: folder }),
    env: { ...process.env, ...environment },
    stdio: ["pipe", "pipe", "pipe"],
    killSignal: "SIGKILL",
    signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
  });
  const parts: Buffer[] = [];
  child.stdout.on("data", (part: Buffer) => parts.push(part));
  child.stderr.on("data", (part: Buffer) => parts.push(part));
  // A program that does not read its input may be gone before it is written.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  let failure: unknown = null;
  child.once("error", (error) => {
    failure = error;
  });
  const [code]: (number | null)[] = await once(child, "close");
  const output = Buffer.concat(parts).toString("utf8");
  signal?.throwIfAborted();
  if (deadline.aborted) {
    throw new Error(`${command} ${args.join(" ")} took longer than ${msMax / 1_000} s:\n${output}`);
  }
  if (failure !== null) throw new Error(`${command} cannot be run`, { cause: failure });
  return { code: code ?? null, output };
}

const linesTold = 25;

/** The same, where anything but success is a failure; gives what it said. */
export async function must(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, output } = await runToEnd(command, args, options);
  if (code === 0) return output;
  const end = output.trimEnd().split("\n").slice(-linesTold).join("\n");
  throw new Error(`${[command, ...args].join(" ")} ended with ${code}:\n${end}`);
}
