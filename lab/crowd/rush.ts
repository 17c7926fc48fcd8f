// `npm run rush`: the same-instant crowd, its table and its verdict. See `usage` in options.ts.
import { writeFileSync } from "node:fs";

import { ceilingEventId, startCeiling, type Ceiling } from "./ceiling.ts";
import { openConnections, targetOf } from "./connection.ts";
import { runCrowd } from "./crowd.ts";
import { descriptorFault, descriptorLimit } from "./descriptors.ts";
import { historyFile, mechanisms, type Mechanism } from "./history.ts";
import { describeMachine, machineText, residentMiB } from "./machine.ts";
import { engineStates } from "./operator.ts";
import { parseOptions, usage, type RushOptions } from "./options.ts";
import { isRight, reportText, type Round } from "./report.ts";
import { peopleAtOnce, runRush, type RushResult } from "./run-rush.ts";
import { runningShop, shopAt, startPrivateShop, type OpenShop } from "./shop.ts";
import { figuresOf, type Figures } from "./statistics.ts";

type Crowd = Pick<RushOptions, "users" | "limit" | "streams" | "deadlineMs">;

/** Progress goes to the error stream, so that the table alone can be redirected. */
function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function main(options: RushOptions, cleanups: AsyncDisposableStack): Promise<boolean> {
  checkDescriptors(options, null);
  const shop = await openShop(options, cleanups);
  checkDescriptors(options, shop.pid());
  const chosen = await availableMechanisms(options, shop);
  const ceiling = await startCeiling();
  cleanups.defer(ceiling.close);
  const history = options.history === null ? null : historyFile(options.history);
  cleanups.defer(() => history?.close());
  const keep = (result: RushResult): void => history?.append(result.eventId, result.attempts);

  const warmUp = { ...options, streams: 0 };
  say(`rushing ${shop.origin}; warming up with ${warmUp.users} people each, not counted`);
  // In full size: compilers and pools of all processes, this one's too, are slow the first time. The
  // empty handler gets one more, since the server meets several crowds.
  await rushCeiling(options, ceiling);
  const warm = await runRound(warmUp, { shop, ceiling, order: chosen, keep });
  const machine = describeMachine();
  if (!isRight([warm])) {
    process.stdout.write(`The warm-up went wrong already:\n\n${reportText([warm])}\n`);
    writeReport(options, { machine, right: false, warmUp: warm, rounds: [] });
    return false;
  }
  const rounds: Round[] = [];
  for (let number = 1; number <= options.repeat; number++) {
    // Reversed every second time, so that no mechanism always follows the same other one.
    const order = number % 2 === 1 ? chosen : chosen.toReversed();
    const reversed = number % 2 === 0;
    const round = await runRound(options, { shop, ceiling, order, reversed, keep });
    rounds.push(round);
    const memory = round.serverResidentMiB;
    if (memory !== null) say(`server memory after round ${number}: ${memory} MiB resident`);
  }
  const { users, limit, streams } = options;
  process.stdout.write(
    `\n${users} people, ${limit} coupons, one instant` +
      `${streams > 0 ? `, ${streams} watching` : ""}; ${new Date().toISOString()}\n` +
      `${machineText(machine)}\n${memoryText(rounds)}\n${reportText(rounds)}\n`,
  );
  const right = isRight(rounds);
  writeReport(options, { machine, right, warmUp: warm, rounds });
  return right;
}

/** Attempts have a file of their own (--history): they are a hundred times the rest. */
function withoutAttempts(key: string, value: unknown): unknown {
  return key === "attempts" ? undefined : value;
}

function writeReport(options: RushOptions, report: Record<string, unknown>): void {
  if (options.json === null) return;
  const whole = {
    command: process.argv.slice(2),
    at: new Date().toISOString(),
    options,
    ...report,
  };
  writeFileSync(options.json, `${JSON.stringify(whole, withoutAttempts, 2)}\n`);
}

function checkDescriptors({ users, streams }: RushOptions, serverPid: number | null): void {
  const fault = descriptorFault(users + streams, [
    { process: "this process", limit: descriptorLimit("self") },
    ...(serverPid === null
      ? []
      : [{ process: `the server (pid ${serverPid})`, limit: descriptorLimit(serverPid) }]),
  ]);
  if (fault !== null) throw new Error(fault);
}

async function openShop(options: RushOptions, cleanups: AsyncDisposableStack): Promise<OpenShop> {
  if (options.url !== null) return shopAt(options.url, process.env);
  return (await runningShop()) ?? startPrivateShop(cleanups, say);
}

async function availableMechanisms(options: RushOptions, shop: OpenShop): Promise<Mechanism[]> {
  const states = await engineStates(shop.url);
  const missing = options.mechanisms.filter((mechanism) => states[mechanism] !== "up");
  for (const mechanism of missing) {
    const { engine, version } = mechanisms[mechanism];
    const text = `${mechanism} (${version}) is left out: ${engine} is ${states[mechanism]} (${shop.url}/readyz)`;
    // Off is how the server was started; down is a fault that a table must not hide.
    if (options.named || states[mechanism] === "down") throw new Error(`${text}. Start it first.`);
    process.stdout.write(`${text}\n`);
  }
  const rest = options.mechanisms.filter((mechanism) => !missing.includes(mechanism));
  if (rest.length === 0) throw new Error("No mechanism is left to rush.");
  return rest;
}

type RoundPlan = {
  readonly shop: OpenShop;
  readonly ceiling: Ceiling;
  readonly order: readonly Mechanism[];
  readonly reversed?: boolean;
  readonly keep: (result: RushResult) => void;
};

async function runRound(crowd: Crowd, plan: RoundPlan): Promise<Round> {
  const { shop, order, reversed = false, keep } = plan;
  let ceiling: Figures | null = reversed ? null : await rushCeiling(crowd, plan.ceiling);
  const results: RushResult[] = [];
  for (const mechanism of order) {
    const result = await runRush(shop, { ...crowd, mechanism }, tellStart());
    keep(result);
    // Ten thousand attempts each, held for many rounds, would slow down the crowds still to come.
    results.push({ ...result, attempts: [] });
  }
  ceiling ??= await rushCeiling(crowd, plan.ceiling);
  const pid = shop.pid();
  return { ceiling, results, serverResidentMiB: pid === null ? null : residentMiB(pid) };
}

/** Says every some thousand connections how far it is, and never during the rush itself. */
function tellStart(): (text: string) => void {
  let toldMs = performance.now();
  return (text) => {
    if (performance.now() - toldMs < 500 && text.includes("connections")) return;
    toldMs = performance.now();
    say(`  ${text}`);
  };
}

async function rushCeiling(crowd: Crowd, ceiling: Ceiling): Promise<Figures> {
  const target = await targetOf(ceiling.url);
  const connections = await openConnections(target, crowd.users);
  try {
    const claims = await runCrowd({
      target,
      eventId: ceilingEventId,
      mechanism: "ceiling",
      connections,
      arrivals: peopleAtOnce("ceiling0", crowd.users),
      deadlineMs: crowd.deadlineMs,
    });
    return figuresOf(claims);
  } finally {
    for (const connection of connections) connection.close();
  }
}

function memoryText(rounds: readonly Round[]): string {
  const sizes = rounds.map(({ serverResidentMiB }) => serverResidentMiB);
  return sizes.includes(null) ? "" : `server memory by round: ${sizes.join(", ")} MiB resident\n`;
}

async function run(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if ("faults" in options) {
    say(`${options.faults.join("\n")}\n\nnpm run rush -- --help lists the options.`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const cleanups = new AsyncDisposableStack();
  let interrupted = false;
  const interrupt = (): void => {
    if (interrupted) return;
    interrupted = true;
    say("interrupted; cleaning up ...");
    void cleanups.disposeAsync().finally(() => process.exit(130));
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  try {
    return (await main(options, cleanups)) ? 0 : 1;
  } catch (error) {
    // While cleaning up, connections break under the rush: that is no news.
    if (!interrupted)
      say(`The rush failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    if (interrupted) await new Promise(() => {});
    await cleanups.disposeAsync();
  }
}

process.exitCode = await run();
