// `npm run lab -- many`: what many sales beside each other cost, on private programs. Nothing here is a
// test, and no line fails on a slow day: it tells what was aimed at and what was seen. A line whose sale
// was wrong tells that and no figure.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describeMachine, machineText } from "../crowd/machine.ts";
import { startPrivateShop } from "../crowd/shop.ts";
import { say, toExitStatus } from "../crowd/start.ts";
import { manyParts, type ManyPart } from "../compare/options.ts";
import { ManySales } from "./claims.ts";
import type { Measure, Options, Part } from "./part.ts";
import { measureLarge } from "./large.ts";
import { measureLocked } from "./locked.ts";
import { besideDistant, measureProcesses } from "./processes.ts";
import { measureQueues } from "./queues.ts";
import { measureRest } from "./rest.ts";
import { measureWatchers } from "./watchers.ts";

/** Each on a program of its own: what one leaves behind would be another one's load. */
const parts: Readonly<Record<ManyPart, PartOfTable>> = {
  rest: { measure: measureRest },
  queues: { measure: measureQueues },
  locked: { measure: measureLocked },
  watchers: { measure: measureWatchers },
  large: { measure: measureLarge },
  processes: { measure: measureProcesses, environment: besideDistant },
};

type PartOfTable = {
  readonly measure: Part;
  readonly environment?: Readonly<Record<string, string>>;
};

type Line = { readonly what: string; readonly aim: string; readonly seen: string };

/** Measures all lines, one after the other, and writes the table after each part. */
export async function runMany(options: Options): Promise<number> {
  const { out } = options;
  const lines: Line[] = [];
  let failed = false;
  return toExitStatus("measurement", async (stack) => {
    for (const name of options.parts ?? manyParts) {
      const { measure: measurePart, environment } = parts[name];
      say(`Part "${name}"`);
      await using cleanups = new AsyncDisposableStack();
      // Ctrl-C disposes of the outer stack alone; whatever is disposed of twice is so once.
      stack.defer(async () => cleanups.disposeAsync());
      const sales = await ManySales.open(
        await startPrivateShop(cleanups, say, undefined, environment),
      );
      const measure: Measure = async (what, aim, run) => {
        say(`${what} ...`);
        const seen = await run().catch((error: unknown) => {
          failed = true;
          return `failed: ${error instanceof Error ? error.message : String(error)}`;
        });
        lines.push({ what, aim, seen });
        say(`  ${seen}`);
      };
      await measurePart(sales, measure, { ...options, cleanups });
      await measure(`the referee, over all events of "${name}"`, "right", async () => {
        const violations = await sales.judge();
        if (violations.length === 0) return "right";
        failed = true;
        return `WRONG: ${violations.map(({ rule, detail }) => `${rule} ${detail}`).join("; ")}`;
      });
      mkdirSync(out, { recursive: true });
      writeFileSync(join(out, "many.md"), tableOf(lines, options));
    }
    process.stdout.write(`\n${tableOf(lines, options)}\nwritten: ${join(out, "many.md")}\n`);
    return failed ? 1 : 0;
  });
}

function tableOf(lines: readonly Line[], { events, coupons, workers }: Options): string {
  const rows = lines.map(({ what, aim, seen }) => `| ${what} | ${aim} | ${seen} |`);
  return [
    `\`npm run lab -- many --events ${events} --coupons ${coupons}\`, ${new Date().toISOString()}, ${machineText(describeMachine())}, WORKERS=${workers}`,
    "",
    "| what | aim | seen |",
    "|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
