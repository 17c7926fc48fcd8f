// What compose says of containers, as the running ones have it.
import assert from "node:assert/strict";
import { mustIn, runIn } from "./machine.ts";
import type { Stack } from "./stack.ts";

type Container = {
  readonly service: string;
  readonly id: string;
  readonly inspected: Inspected;
};

type Inspected = {
  readonly State: {
    readonly Pid: number;
    readonly Running: boolean;
    readonly OOMKilled: boolean;
    readonly ExitCode: number;
  };
  readonly Config: { readonly Env: readonly string[] };
  readonly HostConfig: {
    readonly Memory: number;
    readonly ReadonlyRootfs: boolean;
    readonly PidsLimit: number;
    readonly RestartPolicy: { readonly Name: string };
    readonly LogConfig: { readonly Type: string; readonly Config: Record<string, string> };
    readonly PortBindings: Record<string, readonly { readonly HostIp: string }[] | null> | null;
  };
};

async function containersOf(stack: Stack): Promise<readonly Container[]> {
  const format = "{{.Service}} {{.ID}}";
  const text = await stack.compose(["ps", "--all", "--no-trunc", "--format", format]);
  const ids = text
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  const inspected: readonly Inspected[] = JSON.parse(
    await stack.docker(["inspect", ...ids.map(([, id = ""]) => id)]),
  );
  return ids.map(([service = "", id = ""], at) => ({ service, id, inspected: inspected[at]! }));
}

export async function containerOf(stack: Stack, service: string): Promise<Container> {
  const found = (await containersOf(stack)).find((one) => one.service === service);
  assert.ok(found !== undefined, `there is no container of ${service}`);
  return found;
}

/** No root, no capability, no way to more, a root that cannot be written, limits that the kernel knows. */
export async function areHardened(stack: Stack): Promise<string> {
  const running = (await containersOf(stack)).filter(({ inspected }) => inspected.State.Running);
  for (const { service, inspected } of running) {
    const { Pid } = inspected.State;
    const status = await inside(stack, ["cat", `/proc/${Pid}/status`]);
    const field = (name: string): string =>
      new RegExp(`^${name}:\\s*(?<value>.*)$`, "m").exec(status)?.groups?.["value"] ?? "";
    assert.doesNotMatch(field("Uid"), /\b0\b/, `${service} runs as root`);
    for (const set of ["CapEff", "CapPrm", "CapBnd"]) {
      assert.match(field(set), /^0+$/, `${service} has capabilities: ${set} ${field(set)}`);
    }
    assert.equal(field("NoNewPrivs"), "1", `${service} may gain privileges`);
    const { Memory, ReadonlyRootfs, PidsLimit, LogConfig } = inspected.HostConfig;
    assert.ok(ReadonlyRootfs, `the root of ${service} is writable`);
    assert.ok(Memory > 0 && PidsLimit > 0, `${service} has no limits`);
    assert.equal(LogConfig.Config["max-size"], "10m", `the log of ${service} has no limit`);
    const limit = await memoryLimitOf(stack, Pid);
    assert.equal(limit, Memory, `the kernel bounds ${service} by ${limit}, not by ${Memory}`);
    const root = await runIn(stack.pid, ["touch", `/proc/${Pid}/root/written`]);
    assert.match(root.output, /Read-only file system/, `${service}: ${root.output}`);
  }
  return `${running.length} containers: no root, no capabilities, read-only, limits known to the kernel`;
}

/** In bytes, of either kind of control groups. */
async function memoryLimitOf(stack: Stack, pid: number): Promise<number> {
  const groups = await inside(stack, ["cat", `/proc/${pid}/cgroup`]);
  const path =
    /^\d+:(?:[\w,]*\bmemory\b[\w,]*)?:(?<path>\/.*)$/m.exec(groups)?.groups?.["path"] ?? "";
  const files = [
    `/sys/fs/cgroup/memory${path}/memory.limit_in_bytes`,
    `/sys/fs/cgroup${path}/memory.max`,
  ];
  return Number(await inside(stack, ["sh", "-c", `cat ${files.join(" ")} 2>/dev/null || true`]));
}

/** Every port of this deployment is on the loopback, as the machine's own sockets show. */
export async function portsAreLocal(stack: Stack): Promise<string> {
  const text = await inside(stack, ["ss", "--tcp", "--listening", "--numeric", "--no-header"]);
  const addresses = text
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/)[3] ?? "");
  const outside = addresses.filter((address) => !address.startsWith("127.0.0."));
  assert.deepEqual(outside, [], "ports that other machines reach");
  return `${addresses.length} ports, all on 127.0.0.1`;
}

/** Secrets are in nothing that a person with docker's commands sees by the way. */
export async function secretsAreHidden(stack: Stack): Promise<string> {
  const list = await inside(stack, [
    "sh",
    "-c",
    "cat /var/lib/docker/volumes/stampede_secret-*/_data/*",
  ]);
  const secrets = list.trim().split("\n");
  assert.equal(secrets.length, 5);
  const containers = await containersOf(stack);
  const ids = containers.map(({ id }) => id);
  const seen = [
    await stack.docker(["inspect", ...ids]),
    await stack.compose(["logs", "--no-color"]),
    await stack.docker(["image", "ls", "--all", "--format", "{{.Repository}}"]),
  ].join("\n");
  for (const secret of secrets) {
    assert.ok(!seen.includes(secret), "a secret stands in docker inspect or in a log");
  }
  return "five secrets, none in docker inspect, none in a log";
}

function inside({ pid }: Stack, args: readonly string[]): Promise<string> {
  return mustIn(pid, args);
}
