import type { Comparison, Cpu, Fairness, Run } from "../compare/result.ts";
import { answersPerSecond, issuedPerSecond, serverCpu, type Value } from "./figures.ts";
import type { Kind } from "./numbers.ts";

/** One figure that every run has: what it is called, what it means, how it is read and written. */
export type Measure = {
  readonly group: string;
  readonly name: string;
  /** Empty: a bare number. */
  readonly unit: string;
  /** One line that says what the figure means. */
  readonly meaning: string;
  readonly kind: Kind;
  readonly value: Value;
};

const notEngines = new Set(["server", "crowd"]);

const cost: readonly Measure[] = [
  micros("Server CPU", "Processor time of the server for each claim.", serverCpu),
  micros("Server CPU, own code", "What of it the program itself used.", (run) => {
    return run.cpuMicrosPerClaim["server"]?.user ?? null;
  }),
  micros("Server CPU, kernel", "What of it the kernel used for the server.", (run) => {
    return run.cpuMicrosPerClaim["server"]?.system ?? null;
  }),
  micros("Engines' CPU", "Processor time of all engines together for each claim.", enginesCpu),
];

/** Processor time of every engine; null where none is known. */
export function enginesCpu({ cpuMicrosPerClaim }: Run): number | null {
  const engines = Object.entries(cpuMicrosPerClaim).filter(([name]) => !notEngines.has(name));
  return engines.length === 0 ? null : engines.reduce((sum, [, cpu]) => sum + wholeOf(cpu), 0);
}

function wholeOf({ user, system }: Cpu): number {
  return user + system;
}

const speed: readonly Measure[] = [
  {
    group: "Speed",
    name: "Answers per second",
    unit: "",
    meaning: "All answers, whatever they say, from the first claim to the last answer.",
    kind: "amount",
    value: answersPerSecond,
  },
  {
    group: "Speed",
    name: "Coupons issued per second",
    unit: "",
    meaning: "Coupons that are rows, from the first claim until the last row was written.",
    kind: "amount",
    value: issuedPerSecond,
  },
  milliseconds("Speed", "Last answer", "From the first claim to the last answer.", (run) => {
    return run.lastAnswerMs;
  }),
  milliseconds(
    "Speed",
    "Last verdict",
    "Until everybody knew for certain; for a queue that is after its answers.",
    (run) => run.lastVerdictMs,
  ),
  milliseconds(
    "Speed",
    "Last row durable",
    "Until the last coupon's row was written, by the database's clock.",
    (run) => {
      return run.durableMs;
    },
  ),
];

const latencies = [
  ["p50", "p50"],
  ["p90", "p90"],
  ["p95", "p95"],
  ["p99", "p99"],
  ["p999", "p99.9"],
  ["max", "max"],
] as const;

const latencyMeanings: Readonly<Record<string, string>> = {
  p50: "From the intended time of a claim to its answer: half were answered within this.",
  max: "The slowest answer of all.",
};

const latency: readonly Measure[] = latencies.map(([key, name]) => {
  const meaning = latencyMeanings[key] ?? `${name.slice(1)} % were answered within this.`;
  return milliseconds("Latency", `Latency ${name}`, meaning, (run) => run.latencyMs[key]);
});

const fairness: readonly Measure[] = [
  {
    group: "Fairness",
    name: "Pairs out of order",
    unit: "",
    meaning: "Pairs in another order than they arrived, of all pairs with a coupon among them.",
    kind: "share",
    value: fair(({ inversions }) => inversions),
  },
  ...(["p50", "p99", "max"] as const).map((key): Measure => ({
    group: "Fairness",
    name: `Displacement ${key}`,
    unit: "places",
    meaning: "Places between a coupon holder's arrival and the coupon's number.",
    kind: "amount",
    value: fair(({ displacement }) => displacement[key]),
  })),
  {
    group: "Fairness",
    name: "Coupons that changed hands",
    unit: "",
    meaning: "They went to somebody who was not among the first to arrive.",
    kind: "amount",
    value: fair(({ changedHands }) => changedHands),
  },
];

const conditions: readonly Measure[] = [
  milliseconds(
    "Conditions",
    "Firing skew",
    "From the first to the last claim of the one instant.",
    (run) => run.firingSkewMs,
  ),
  {
    group: "Conditions",
    name: "Listen overflows",
    unit: "connections",
    meaning: "Connections that the machine's kernel turned away during the run.",
    kind: "count",
    value: (run) => run.listenOverflows,
  },
  ...(["p50", "p99", "max"] as const).map((key) =>
    milliseconds(
      "Conditions",
      `Event-loop delay ${key}`,
      "How late the server's event loop came to its work.",
      (run) => run.eventLoopDelayMs?.[key] ?? null,
    ),
  ),
  milliseconds(
    "Conditions",
    "Crowd late p99",
    "From when a claim was due until the crowd's process had written it.",
    (run) => run.generator.lateMs.p99,
  ),
  {
    group: "Conditions",
    name: "Crowd's CPU",
    unit: "",
    meaning: "How busy the crowd's one thread was; near 100 % it measures itself.",
    kind: "share",
    value: (run) => run.generator.cpuShare,
  },
  ...(["before", "max"] as const).map((key): Measure => ({
    group: "Conditions",
    name: key === "max" ? "Server memory, most" : "Server memory before",
    unit: "MiB",
    meaning: "Resident memory of the server's process.",
    kind: "amount",
    value: (run) => run.serverMemoryMiB?.[key] ?? null,
  })),
];

/** Every measure, in the order of the tables; what a run may name freely comes from the runs. */
export function measuresOf({ runs }: Comparison): readonly Measure[] {
  const processes = namesIn(runs, (run) => run.cpuMicrosPerClaim);
  const engines = namesIn(runs, (run) => run.roundTripsPerClaim);
  return [
    ...cost,
    ...processes
      .filter((name) => name !== "server")
      .map((name) =>
        micros(`CPU: ${name}`, `Processor time of ${name} for each claim.`, (run) => {
          const cpu = run.cpuMicrosPerClaim[name];
          return cpu === undefined ? null : wholeOf(cpu);
        }),
      ),
    ...speed,
    ...latency,
    ...fairness,
    ...engines.map((name): Measure => ({
      group: "Round trips per claim",
      name: `Round trips: ${name}`,
      unit: "",
      meaning: `Requests to ${name} for each claim.`,
      kind: "amount",
      value: (run) => run.roundTripsPerClaim[name] ?? null,
    })),
    ...conditions,
  ];
}

function milliseconds(group: string, name: string, meaning: string, value: Value): Measure {
  return { group, name, unit: "ms", meaning, kind: "amount", value };
}

function micros(name: string, meaning: string, value: Value): Measure {
  return { group: "Cost per claim", name, unit: "µs", meaning, kind: "amount", value };
}

function fair(value: (fairness: Fairness) => number): Value {
  return (run) => (run.fairness === null ? null : value(run.fairness));
}

function namesIn(
  runs: readonly Run[],
  record: (run: Run) => Readonly<Record<string, unknown>>,
): readonly string[] {
  return [...new Set(runs.flatMap((run) => Object.keys(record(run))))];
}
