// Simulated time. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runSale } from "./sale.ts";
import { Process, Scheduler } from "./scheduler.ts";

const clock = { startMs: 1_000, wallErrorMs: 0 };

describe("simulated time", () => {
  // Red when the heap forgets the order in which ties were made (`isBefore`).
  test("happens in order, ties as they were made, and all promises settle in between", async () => {
    const scheduler = new Scheduler();
    const process = new Process("one", clock);
    const time = scheduler.timeOf(process);
    const seen: string[] = [];
    for (const name of ["a", "b", "c"]) {
      time.after(5, () => {
        seen.push(name);
        void Promise.resolve()
          .then(() => undefined)
          .then(() => seen.push(`${name} settled`));
      });
    }
    time.after(4, () => seen.push("first"));
    await scheduler.run(() => false, 100);
    const settled = ["a", "b", "c"].flatMap((name) => [name, `${name} settled`]);
    assert.deepEqual(seen, ["first", ...settled]);
    assert.equal(time.nowMs(), 1_005);
  });

  // Red when a stopped process hears of anything, or forgets what came meanwhile.
  test("passes by a stopped process, which then catches up in order", async () => {
    const scheduler = new Scheduler();
    const process = new Process("one", clock);
    const time = scheduler.timeOf(process);
    const seen: number[] = [];
    for (const ms of [10, 20, 30]) time.after(ms, () => seen.push(ms));
    scheduler.after(15, null, () => {
      process.held = [];
    });
    await scheduler.run(() => false, 25);
    assert.deepEqual(seen, [10]);
    scheduler.resume(process);
    await scheduler.run(() => false, 100);
    assert.deepEqual(seen, [10, 20, 30]);
  });

  // Red when a timer outlives its process.
  test("has nothing left for a process that died", async () => {
    const scheduler = new Scheduler();
    const process = new Process("one", clock);
    let ticks = 0;
    scheduler.timeOf(process).every(10, () => {
      ticks += 1;
    });
    scheduler.after(35, null, () => process.die());
    await scheduler.run(() => false, 1_000);
    assert.equal(ticks, 3);
  });

  test("ends a sleep early where its signal aborts, also one that had aborted before", async () => {
    const scheduler = new Scheduler();
    const time = scheduler.timeOf(new Process("one", clock));
    const stop = new AbortController();
    const woken: number[] = [];
    const sleeper = async (): Promise<void> => {
      await time.sleep(1_000, stop.signal);
      woken.push(time.nowMs());
      await time.sleep(1_000, stop.signal);
      woken.push(time.nowMs());
    };
    time.after(0, () => void sleeper());
    time.after(50, () => stop.abort());
    await scheduler.run(() => woken.length === 2, 5_000);
    assert.deepEqual(woken, [1_050, 1_050]);
  });
});

// Red when anything in a sale takes its time or its chance from elsewhere.
test("one seed is one sale, and another seed another one", async () => {
  for (const mechanism of ["row-lock", "redis-counter", "kafka-queue"] as const) {
    const [one, again, other] = [
      await runSale(mechanism, 7),
      await runSale(mechanism, 7),
      await runSale(mechanism, 8),
    ];
    assert.equal(one.trace, again.trace);
    assert.notEqual(one.trace, other.trace);
  }
});
