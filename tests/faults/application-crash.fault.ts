// A10: the service ends by itself, by a promise that nobody caught and by a heap that is full, in the
// middle of a rush; the next start serves. The fault is planted from outside, by a module that Node
// loads before the program (NODE_OPTIONS), and set off by a signal.
//
// Red when the process goes on after a failure that it does not know.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isAlive } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import { faultRow } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  tally,
  unsettled,
  until,
  verdict,
} from "./support/sale.ts";

const PEOPLE = 600;
const LIMIT = 100;
const SPREAD_MS = 500;
const ANSWERS_BEFORE = 30;

const planted = `
  process.on("SIGUSR2", () => { Promise.reject(new Error("planted: nobody catches this")); });
  process.on("SIGWINCH", () => { const all = []; for (;;) all.push(Array.from({ length: 1e6 }, Math.random)); });`;
const environment = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(planted)}`,
};

const ends = [
  { fault: "a promise is rejected and nobody catches it", signal: "SIGUSR2" },
  { fault: "the heap is full", signal: "SIGWINCH" },
] as const;

for (const { fault, signal } of ends) {
  for (const mechanism of MECHANISMS) {
    test(
      `A10: ${mechanism}: ${fault}: the process ends, the next one serves`,
      { skip: engineMissing },
      async (t) => {
        const row = faultRow(t, { row: "A10", mechanism, fault });
        const program = await startProgram(t, environment);
        const sale = await openSale(program, { mechanism, limit: LIMIT });
        const persons = people(PEOPLE);
        const { pid } = program;
        const told: Attempt[] = await claimAtOnce(sale, persons, {
          spreadMs: SPREAD_MS,
          onAnswer(answers) {
            if (answers === ANSWERS_BEFORE) process.kill(pid, signal);
          },
        });
        row.injected();
        await until(() => !isAlive(pid), "the process has ended");
        assert.notEqual(await program.stop(), 0);
        // In flight when it died, or on a connection that was gone before they claimed.
        const { unknown = 0, refused = 0 } = tally(told);
        assert.ok(unknown + refused > 0, JSON.stringify(tally(told)));
        const startedMs = performance.now();
        await program.restart();
        row.recovered("L3", performance.now() - startedMs);
        told.push(...(await claimAtOnce(sale, persons)));
        const asked = await askEverybody(sale, told);
        assert.deepEqual(unsettled(asked), []);
        const { violations, stored } = await verdict(sale, [...told, ...asked]);
        row.judged(told, violations.length);
        assert.deepEqual(violations, []);
        assert.equal(stored.rows.length, LIMIT);
      },
    );
  }
}
