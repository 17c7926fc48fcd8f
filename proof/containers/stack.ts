// A deployment in the machine's container engine, by compose and as its operator sees it.
import { until } from "@stampede/launcher/testing";

import type { Program } from "../support/program.ts";
import { mustIn, PLACE, runIn } from "./machine.ts";
import { UNSEEN } from "./prepare.ts";
import type { Outcome } from "./tool.ts";

const buildMsMax = 600_000;
const upMsMax = 180_000;
const readyMsMax = 90_000;

export type Stack = {
  readonly pid: number;
  /** Its services, without those that nothing stands in for. */
  readonly services: readonly string[];
  /** docker compose, with the deployment's files; gives what it said. */
  readonly compose: (args: readonly string[], msMax?: number) => Promise<string>;
  /** The same, whatever it ends with. */
  readonly tryCompose: (args: readonly string[]) => Promise<Outcome>;
  readonly docker: (args: readonly string[], msMax?: number) => Promise<string>;
};

export type StackPlan = {
  readonly pid: number;
  readonly files: readonly string[];
  /** Of the shell that compose is called from, as a person would export it. */
  readonly environment: Readonly<Record<string, string>>;
};

export async function openStack({ pid, files, environment }: StackPlan): Promise<Stack> {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const flags = files.length === 1 ? [] : files.flatMap((file) => ["-f", file]);
  const command = ["env", ...variables, "docker", "compose", "--ansi", "never", ...flags];
  const compose = (args: readonly string[], msMax = 120_000): Promise<string> =>
    mustIn(pid, [...command, ...args], { folder: PLACE, msMax });
  const named = (await compose(["config", "--services"])).trim().split("\n");
  return {
    pid,
    services: named.filter((name) => !UNSEEN.includes(name)),
    compose,
    tryCompose: (args) => runIn(pid, [...command, ...args], { folder: PLACE }),
    docker: (args, msMax = 60_000) => mustIn(pid, ["docker", ...args], { msMax }),
  };
}

export async function build(stack: Stack): Promise<void> {
  await stack.compose(["build", "--quiet", ...stack.services], buildMsMax);
}

/** All of it, and no longer than until everything is healthy. */
export async function up(stack: Stack): Promise<void> {
  await stack.compose(["up", "--detach", "--no-build", ...stack.services], upMsMax);
  await allHealthy(stack);
}

/** `volumes`: and what it has stored. */
export async function down(stack: Stack, what: "volumes" | "containers"): Promise<void> {
  const more = what === "volumes" ? ["--volumes"] : [];
  await stack.compose(["down", "--remove-orphans", "--timeout", "30", ...more], upMsMax);
}

/** What runs and is not healthy, by what docker says of it. */
async function unhealthy(stack: Stack): Promise<readonly string[]> {
  const format = "{{.Service}} {{.State}} {{.Health}}";
  const text = await stack.compose(["ps", "--all", "--format", format]);
  const lines = text.trim().split("\n");
  return lines.filter((line) => {
    const [service = "", state, health = ""] = line.split(" ");
    if (service === "secrets" || service === "demo") return state === "running";
    return state !== "running" || health !== "healthy";
  });
}

export async function allHealthy(stack: Stack): Promise<void> {
  let last: readonly string[] = [];
  const healthy = async (): Promise<boolean> => {
    last = await unhealthy(stack);
    return last.length === 0;
  };
  try {
    await until(healthy, "everything is healthy", { msMax: readyMsMax, pollMs: 300 });
  } catch (error) {
    throw new Error(`not healthy after ${readyMsMax / 1_000} s: ${last.join(", ")}`, {
      cause: error,
    });
  }
}

/** The shop at its one door, as the fault cases know a program. */
export async function shopOf(stack: Stack): Promise<Program> {
  const read = async (path: string): Promise<string> =>
    (await stack.compose(["exec", "--no-TTY", "app", "cat", path])).trim();
  const adminToken = await read("/secrets/admin/token");
  const password = encodeURIComponent(await read("/secrets/postgres/password"));
  const databaseUrl = `postgres://stampede:${password}@127.0.0.1:55432/stampede`;
  const shop = { url: "http://127.0.0.1:3000", adminToken, databaseUrl };
  // What the fault cases ask of a program beside its door is not asked here.
  return shop as Program;
}

/** Claims are taken again: an event can be made and a person gets a coupon. */
export async function servesAgain(shop: Program): Promise<void> {
  const ready = async (): Promise<boolean> => {
    try {
      const answer = await fetch(`${shop.url}/readyz`, { signal: AbortSignal.timeout(2_000) });
      const { engines } = (await answer.json()) as { engines?: Record<string, string> };
      return answer.ok && Object.values(engines ?? {}).every((state) => state !== "down");
    } catch {
      // Nobody listens yet: asked again until the deadline.
      return false;
    }
  };
  await until(ready, "the service reaches all its engines", { msMax: readyMsMax, pollMs: 200 });
}
