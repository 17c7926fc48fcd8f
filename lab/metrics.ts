// What a crowd tells Prometheus while it runs: three figures in the text format, which is a few lines
// and no reason for a dependency.
import { once } from "node:events";
import { createServer } from "node:http";

/** One judged run. */
export type JudgedFigures = {
  readonly mechanism: string;
  readonly verdict: "right" | "wrong" | "void";
  readonly violations: number;
  /** Null where the run has no throughput. */
  readonly answersPerSecond: number | null;
};

export type LabMetrics = {
  readonly judged: (run: JudgedFigures) => void;
  /** The metrics as Prometheus reads them. */
  readonly text: () => string;
};

const verdicts = ["right", "wrong", "void"] as const;

/** Counts judged runs. */
export function labMetrics(): LabMetrics {
  const runs = new Map<string, Record<(typeof verdicts)[number], number>>();
  const perSecond = new Map<string, number>();
  let violations = 0;
  return {
    judged: (run) => {
      const counts = runs.get(run.mechanism) ?? { right: 0, wrong: 0, void: 0 };
      counts[run.verdict] += 1;
      runs.set(run.mechanism, counts);
      violations += run.violations;
      if (run.answersPerSecond === null) perSecond.delete(run.mechanism);
      else perSecond.set(run.mechanism, run.answersPerSecond);
    },
    text: () =>
      [
        "# HELP stampede_lab_runs_total Judged runs by mechanism and verdict.",
        "# TYPE stampede_lab_runs_total counter",
        ...[...runs].flatMap(([mechanism, counts]) =>
          verdicts.map(
            (verdict) =>
              `stampede_lab_runs_total{mechanism="${mechanism}",verdict="${verdict}"} ${counts[verdict]}`,
          ),
        ),
        "# HELP stampede_lab_violations_total What must never be, found by the referee.",
        "# TYPE stampede_lab_violations_total counter",
        `stampede_lab_violations_total ${violations}`,
        "# HELP stampede_lab_answers_per_second Answers per second of the last run; absent unless right.",
        "# TYPE stampede_lab_answers_per_second gauge",
        ...[...perSecond].map(
          ([mechanism, value]) =>
            `stampede_lab_answers_per_second{mechanism="${mechanism}"} ${value}`,
        ),
        "",
      ].join("\n"),
  };
}

/** Serves `GET /metrics` on 127.0.0.1; port 0 is a free one. */
export async function serveMetrics(
  metrics: LabMetrics,
  port: number,
): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const found = request.url === "/metrics" && request.method === "GET";
    response.writeHead(found ? 200 : 404, { "Content-Type": "text/plain; version=0.0.4" });
    response.end(found ? metrics.text() : "The lab has GET /metrics only.\n");
  });
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new Error(`Port ${port} for the lab's metrics is not free: choose another one.`, {
      cause,
    });
  }
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://127.0.0.1:${bound}/metrics`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
