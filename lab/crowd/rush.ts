// `npm run rush`: the same-instant crowd, its table and its verdict. See `usage` in options.ts.
import { writeFileSync } from "node:fs";

import { saveRun } from "../referee/index.ts";
import { labMetrics, serveMetrics, type JudgedFigures } from "../metrics.ts";
import { ceilingEventId, startCeiling, type Ceiling } from "./ceiling.ts";
import { openConnections, targetOf } from "./connection.ts";
import { runCrowd } from "./crowd.ts";
import type { Mechanism } from "./history.ts";
import { describeMachine, machineText, nodeFlagsOf, residentMiB } from "./machine.ts";
import { parseOptions, usage, type RushOptions } from "./options.ts";
import { isRight, reportText, type Round } from "./report.ts";
import { runRush, type RushResult } from "./run-rush.ts";
import { peopleAtOnce } from "./run-sale.ts";
import type { OpenShop } from "./shop.ts";
import { availableMechanisms, openShop, requireDescriptors, say, toExitStatus } from "./start.ts";
import { figuresOf, type Figures } from "./statistics.ts";
import { runPartOf } from "./verdict.ts";

type Crowd = Pick<RushOptions, "users" | "limit" | "streams" | "deadlineMs">;

async function main(options: RushOptions, cleanups: AsyncDisposableStack): Promise<boolean> {
  const connections = options.users + options.streams;
  requireDescriptors(connections, null);
  const metrics = labMetrics();
  if (options.metricsPort !== null) {
    const served = await serveMetrics(metrics, options.metricsPort);
    cleanups.defer(served.close);
    say(`metrics at ${served.url}`);
  }
  const shop = await openShop(options.url, process.env, cleanups);
  requireDescriptors(connections, shop.pid());
  const chosen = await availableMechanisms(shop, options);
  const ceiling = await startCeiling(nodeFlagsOf(shop.pid()));
  cleanups.defer(ceiling.close);
  const startedAt = new Date().toISOString();
  const command = ["npm", "run", "rush", "--", ...process.argv.slice(2)].join(" ");
  const history =
    options.history === null ? null : saveRun(options.history, { startedAt, command });
  cleanups.defer(() => history?.close());
  const keep = (result: RushResult): void => {
    history?.add(runPartOf({ ...result, sale: result.stored }));
    metrics.judged(judgedFigures(result));
  };

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

function judgedFigures({ mechanism, violations, unclean, figures }: RushResult): JudgedFigures {
  const verdict = violations.length > 0 ? "wrong" : unclean.length > 0 ? "void" : "right";
  const answersPerSecond = verdict === "right" ? figures.answersPerSecond : null;
  return { mechanism, verdict, violations: violations.length, answersPerSecond };
}

/** Attempts and rows have a file of their own (--history): they are a hundred times the rest. */
function withoutHistory(key: string, value: unknown): unknown {
  return key === "attempts" || key === "stored" ? undefined : value;
}

function writeReport(options: RushOptions, report: Record<string, unknown>): void {
  if (options.json === null) return;
  const whole = {
    command: process.argv.slice(2),
    at: new Date().toISOString(),
    options,
    ...report,
  };
  writeFileSync(options.json, `${JSON.stringify(whole, withoutHistory, 2)}\n`);
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
    results.push({ ...result, attempts: [], stored: { ...result.stored, rows: [] } });
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
  return toExitStatus("rush", async (cleanups) => ((await main(options, cleanups)) ? 0 : 1));
}

process.exitCode = await run();
