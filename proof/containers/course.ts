// The steps, inside the machine's network: node course.ts MACHINE-PID CLONE [--all]. main.ts runs it.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serverNodeFlags } from "@stampede/launcher";
import { MECHANISMS, type Mechanism } from "../faults/mechanisms.ts";
import { areHardened, containerOf, portsAreLocal, secretsAreHidden } from "./checks.ts";
import { mustIn } from "./machine.ts";
import { isAllThere, keptSales, saleOfEach, saleUnder } from "./sales.ts";
import { allHealthy, build, down, openStack, servesAgain, shopOf, up } from "./stack.ts";
import type { Stack } from "./stack.ts";
import type { Program } from "../support/program.ts";
import { steps } from "./steps.ts";

const [pidText = "", clone = "", ...flags] = process.argv.slice(2);
const pid = Number(pidText);
const all = flags.includes("--all");
const step = steps();

/** What compose asks for and this machine may not give: the line says so. */
const filesWanted = 65_536;
const filesMax = Number((await mustIn(pid, ["sh", "-c", "ulimit -Hn"])).trim());
const fewerFiles: Readonly<Record<string, string>> =
  filesMax < filesWanted ? { OPEN_FILES: String(filesMax) } : {};

await oneMachine();
await cluster();
process.exit(step.failed() ? 1 : 0);

async function oneMachine(): Promise<void> {
  const stack = await openStack({ pid, files: ["compose.yaml"], environment: fewerFiles });
  const limited = Object.keys(fewerFiles).length > 0 ? `, OPEN_FILES=${filesMax} as here` : "";
  await step("our Dockerfile is built as it is", async () => {
    await build(stack);
    return `for ${stack.services.join(", ")}`;
  });
  const isUp = await step("docker compose up in a fresh clone, without .env", async () => {
    await up(stack);
    assert.equal(await demoEvents(), MECHANISMS.length);
    return `all is healthy, the demo events are there; umask 077, another user's clone${limited}`;
  });
  if (!isUp) return tellWhy(stack);
  await step("containers are as compose.yaml says", () => areHardened(stack));
  await step("every port is on 127.0.0.1", () => portsAreLocal(stack));
  const shop = await shopOf(stack);
  await step("a sale on each mechanism", () => saleOfEach(shop));
  await step("secrets are in nothing that is shown", () => secretsAreHidden(stack));
  await step("logs say what runs", () => logsTell(stack));
  await kills(stack, victims());
  await step("docker stop of app in the middle of a sale", () => stopsAmidst(stack, shop));
  await step("a process that dies comes back by the restart policy", () => comesBack(stack));
  await step("the heap gives up before the kernel kills", () => heapGivesUp(stack));
  await step("the image alone refuses AUTH=dev", () => refusesDev(stack));
  await step("a secret that is changed in .env counts after up", () => secretsFollow(stack));
  const kept = await keptSales(await shopOf(stack));
  await step("everything stops within its grace", () => stopsInTime(stack));
  await step("docker compose down, and up again on the volumes", async () => {
    await down(stack, "containers");
    await up(stack);
    return isAllThere(kept, await shopOf(stack));
  });
  await step("nothing is left of it", async () => {
    await down(stack, "volumes");
    return nothingLeft(stack);
  });
}

async function demoEvents(): Promise<number> {
  const answer = await fetch("http://127.0.0.1:3000/events");
  const { events } = (await answer.json()) as { readonly events: readonly unknown[] };
  return events.length;
}

async function cluster(): Promise<void> {
  // As people have it who deployed before secrets made themselves.
  const old = ["POSTGRES_PASSWORD", "POSTGRES_EXPORTER_PASSWORD", "REDIS_PASSWORD", "ADMIN_TOKEN"];
  const lines = [...old, "GRAFANA_PASSWORD"].map((name) => `${name}=old-${name.toLowerCase()}-1`);
  writeFileSync(join(clone, ".env"), `${lines.join("\n")}\n`, { mode: 0o600 });
  const files = ["compose.yaml", "compose.cluster.yaml"];
  const stack = await openStack({ pid, files, environment: fewerFiles });
  const isUp = await step("the cluster comes up, with the secrets of an old .env", async () => {
    await build(stack);
    await up(stack);
    const { adminToken, databaseUrl } = await shopOf(stack);
    assert.equal(adminToken, "old-admin_token-1");
    assert.match(databaseUrl, /:old-postgres_password-1@/);
    return `everything is healthy: ${stack.services.length} services`;
  });
  if (isUp) {
    const shop = await shopOf(stack);
    await step("a sale on each mechanism, through nginx", () => saleOfEach(shop));
    await step("its containers are as the files say", () => areHardened(stack));
    await kills(stack, clusterVictims());
  } else await tellWhy(stack);
  await step("nothing is left of the cluster", async () => {
    rmSync(join(clone, ".env"));
    // Its brokers would wait for each other; that everything stops in time is seen above.
    await stack.compose(["kill"]);
    await down(stack, "volumes");
    return nothingLeft(stack);
  });
}

type Victim = readonly [service: string, mechanism: Mechanism];

/** Who is killed in the middle of whose sale: each one once, or everything in everybody's. */
function victims(): readonly Victim[] {
  if (all) return everybody(["app", "redis", "kafka", "postgres"]);
  return [
    ["app", "group-commit"],
    ["redis", "redis-counter"],
    ["kafka", "kafka-queue"],
    ["postgres", "row-lock"],
  ];
}

function clusterVictims(): readonly Victim[] {
  if (all) return everybody(["api-2", "decider", "kafka-2", "redis", "postgres", "nginx"]);
  return [
    ["api-2", "group-commit"],
    ["kafka-2", "kafka-queue"],
  ];
}

function everybody(services: readonly string[]): readonly Victim[] {
  return services.flatMap((service) =>
    MECHANISMS.map((mechanism) => [service, mechanism] as const),
  );
}

async function kills(stack: Stack, those: readonly Victim[]): Promise<void> {
  const shop = await shopOf(stack);
  for (const [service, mechanism] of those) {
    await step(`docker kill of ${service} in the middle of a sale`, () =>
      saleUnder(shop, mechanism, async () => {
        const { id } = await containerOf(stack, service);
        await stack.docker(["kill", id]);
        await stack.docker(["start", id]);
      }),
    );
  }
  await allHealthy(stack);
}

async function logsTell(stack: Stack): Promise<string> {
  const text = await stack.compose(["logs", "--no-color", "app", "secrets"]);
  assert.match(text, /Stampede listens on http:\/\/\S+:3000 \(role all\)/);
  assert.match(text, /docker compose exec app cat \/secrets\/admin\/token/);
  return "where the service listens, and how to see the operator's token";
}

async function stopsAmidst(stack: Stack, shop: Program): Promise<string> {
  const outcome = await saleUnder(shop, "redis-counter", async () => {
    await stack.compose(["stop", "app"]);
    const { inspected } = await containerOf(stack, "app");
    assert.equal(inspected.State.ExitCode, 0, "it had to be killed, or failed");
    await stack.compose(["start", "app"]);
  });
  return `it ends with 0; ${outcome}`;
}

async function secretsFollow(stack: Stack): Promise<string> {
  const before = await shopOf(stack);
  const lines = ["ADMIN_TOKEN=another-one-for-the-operator", "REDIS_PASSWORD=p@ss/word%41"];
  writeFileSync(join(clone, ".env"), `${lines.join("\n")}\n`, { mode: 0o600 });
  await up(stack);
  const after = await shopOf(stack);
  assert.equal(after.adminToken, "another-one-for-the-operator");
  await assert.rejects(keptSales(before), /401|403/, "the old token is accepted still");
  await isAllThere(await keptSales(after), after);
  // What is kept does not need the file.
  rmSync(join(clone, ".env"));
  return "the operator's token and the password of Redis";
}

async function comesBack(stack: Stack): Promise<string> {
  const services = ["app", "redis"];
  for (const service of services) {
    const { inspected } = await containerOf(stack, service);
    // The process itself: what docker kill ends stays ended.
    await mustIn(pid, ["sh", "-c", `kill -9 ${inspected.State.Pid}`]);
  }
  await allHealthy(stack);
  await servesAgain(await shopOf(stack));
  return `${services.join(" and ")}, killed with -9, run again`;
}

async function heapGivesUp(stack: Stack): Promise<string> {
  const fill = "const all=[];for(;;)all.push(new Array(1e5).fill(0.5))";
  const run = [
    "run",
    "--rm",
    "--no-deps",
    "--no-TTY",
    "app",
    "node",
    ...serverNodeFlags,
    "-e",
    fill,
  ];
  const { code, output } = await stack.tryCompose(run);
  assert.match(output, /heap out of memory/, output);
  assert.notEqual(code, 137, "the kernel killed it");
  return `V8 says "heap out of memory" in a container of ${(await memoryOf(stack)) / 2 ** 30} GB`;
}

async function memoryOf(stack: Stack): Promise<number> {
  return (await containerOf(stack, "app")).inspected.HostConfig.Memory;
}

async function refusesDev(stack: Stack): Promise<string> {
  const url = "DATABASE_URL=postgres://stampede@127.0.0.1/stampede";
  // By any user, as some orchestrators start containers.
  const how = `--rm --read-only --user 98765:0 --env ${url}`;
  const script = `docker run ${how} stampede:0.1.0 2>&1; echo "code $?"`;
  const output = await mustIn(stack.pid, ["sh", "-c", script]);
  assert.match(output, /AUTH=dev believes everybody.*LET_ANYBODY_BE_ANYBODY=yes/);
  assert.match(output, /code 2$/m);
  return "and says what to set";
}

/** By SIGTERM and by itself: SIGKILL would show as 137. */
async function stopsInTime(stack: Stack): Promise<string> {
  await stack.compose(["stop"], 180_000);
  const ended: string[] = [];
  for (const service of stack.services) {
    const { inspected } = await containerOf(stack, service);
    const { ExitCode, OOMKilled } = inspected.State;
    assert.ok(ExitCode !== 137 && !OOMKilled, `${service} had to be killed`);
    ended.push(`${service} ${ExitCode}`);
    if (service === "app") assert.equal(ExitCode, 0);
  }
  return ended.join(", ");
}

async function nothingLeft(stack: Stack): Promise<string> {
  const list = ["ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=stampede"];
  assert.equal((await stack.docker(list)).trim(), "");
  assert.equal((await stack.docker(["volume", "ls", "--quiet"])).trim(), "");
  const networks = await stack.docker(["network", "ls", "--format", "{{.Name}}"]);
  assert.deepEqual(networks.trim().split("\n").toSorted(), ["bridge", "host", "none"]);
  return "no container, no volume, no network";
}

/** What a person would look at next. */
async function tellWhy(stack: Stack): Promise<void> {
  const { output: state } = await stack.tryCompose(["ps", "--all"]);
  const { output: logs } = await stack.tryCompose(["logs", "--no-color", "--tail", "15"]);
  console.log(`${state}\n${logs}`);
}
