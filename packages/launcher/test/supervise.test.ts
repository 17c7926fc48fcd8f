import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProcessExit, RunningProcess } from "../src/engine.ts";
import { supervise } from "../src/supervise.ts";
import { until } from "../testing/index.ts";

const quickly = { firstMs: 1, lastMs: 4, goodLifeMs: 60_000 };

test("starts a process again until it stays, with one line for each try", async () => {
  const lines: string[] = [];
  const first = standIn(1);
  const last = standIn(4);
  let tries = 0;
  const supervised = supervise({
    title: "Redis",
    running: first.process,
    restart: async () => {
      tries += 1;
      if (tries < 3) throw new Error(`try ${tries}`);
      return last.process;
    },
    report: (line) => lines.push(line),
    onChange: () => undefined,
    backOff: quickly,
  });
  first.end({ code: null, signal: "SIGKILL" });
  await until(() => lines.length === 4, "the process is back");
  assert.deepEqual(lines, [
    "Redis ended by SIGKILL. Starting it again.",
    "Redis does not start again: try 1",
    "Redis does not start again: try 2",
    "Redis is back (process 4).",
  ]);
  await supervised.stop();
  assert.equal(last.stops(), 1);
});

test("tells a failure that comes again the same way once, however often it is tried", async () => {
  const lines: string[] = [];
  const [first, last] = [standIn(1), standIn(6)];
  let tries = 0;
  const supervised = supervise({
    title: "Kafka",
    running: first.process,
    restart: async () => {
      tries += 1;
      if (tries < 5) throw new Error(`No room. Its last lines:\nat ${tries}`);
      return last.process;
    },
    report: (line) => lines.push(line),
    onChange: () => undefined,
    backOff: quickly,
  });
  first.end({ code: 1, signal: null });
  await until(() => lines.length === 3, "the process is back");
  assert.deepEqual(lines, [
    "Kafka ended with exit code 1. Starting it again.",
    "Kafka does not start again: No room. Its last lines:\nat 1",
    "Kafka is back (process 6).",
  ]);
  await supervised.stop();
});

test("does not start anything again once it has been told to stop", async () => {
  let restarts = 0;
  const only = standIn(1);
  const supervised = supervise({
    title: "Redis",
    running: only.process,
    restart: async () => {
      restarts += 1;
      return only.process;
    },
    report: () => undefined,
    onChange: () => undefined,
    backOff: quickly,
  });
  await supervised.stop();
  assert.equal(only.stops(), 1);
  assert.equal(restarts, 0);
});

test("a restart that is running when the stop comes is ended as well", async () => {
  const first = standIn(1);
  const late = standIn(2);
  const started = Promise.withResolvers<void>();
  const allowed = Promise.withResolvers<void>();
  const supervised = supervise({
    title: "Redis",
    running: first.process,
    restart: async () => {
      started.resolve();
      await allowed.promise;
      return late.process;
    },
    report: () => undefined,
    onChange: () => undefined,
    backOff: quickly,
  });
  first.end({ code: 1, signal: null });
  await started.promise;
  const stopped = supervised.stop();
  allowed.resolve();
  await stopped;
  assert.equal(late.stops(), 1);
});

/** A process in memory, whose end the test decides. */
function standIn(pid: number): {
  process: RunningProcess;
  end: (exit: ProcessExit) => void;
  stops: () => number;
} {
  const { promise: exited, resolve: end } = Promise.withResolvers<ProcessExit>();
  let stops = 0;
  const stop = async (): Promise<void> => {
    stops += 1;
    end({ code: 0, signal: null });
  };
  return { process: { pid, exited, stop, [Symbol.asyncDispose]: stop }, end, stops: () => stops };
}
