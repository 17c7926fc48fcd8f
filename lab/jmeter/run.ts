import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { createEvent } from "../crowd/operator.ts";
import type { Shop } from "../crowd/run-sale.ts";
import type { Mechanism } from "../mechanisms.ts";
import { readJtl } from "./jtl.ts";
import { judgeSamples, type JudgedJmeterRun } from "./judged-run.ts";
import { runMaven } from "./maven.ts";

export const jmeterVersion = "5.6.3";
const plugin = "com.lazerycode.jmeter:jmeter-maven-plugin:3.7.0";
/** Each with the id of its execution in the pom: the second goal reads what the first one leaves. */
const goals = [`${plugin}:configure@configuration`, `${plugin}:jmeter@run`];
const pomPath = join(import.meta.dirname, "pom.xml");

export type JmeterCrowd = {
  readonly mechanism: Pick<Mechanism, "name" | "version">;
  readonly people: number;
  readonly limit: number;
  readonly rampSeconds: number;
  readonly deadlineSeconds: number;
};

export type JmeterPlace = {
  /** A folder that does not exist yet; afterwards it holds what the run leaves. */
  readonly folder: string;
  readonly report: (text: string) => void;
  readonly cleanups: AsyncDisposableStack;
};

/**
 * One crowd by JMeter on a fresh event, judged. Leaves in its folder `results.csv` (JMeter's JTL
 * with every answer; it holds coupon codes), `report/index.html` (JMeter's own report),
 * `run.properties`, `jmeter.log` and `maven.log`.
 */
export async function runJmeter(
  shop: Shop,
  crowd: JmeterCrowd,
  place: JmeterPlace,
): Promise<JudgedJmeterRun> {
  const { people, limit } = crowd;
  const { name: mechanism, version } = crowd.mechanism;
  const { folder, report, cleanups } = place;
  const run = randomBytes(4).toString("hex");
  const eventId = `jmeter-${version}-${run}`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const settingsPath = join(folder, "run.properties");
  writeFileSync(settingsPath, settings(shop, crowd, { eventId, run }));
  await createEvent(shop, { id: eventId, mechanism, limit });
  // Maven copies the whole of JMeter there; inside the folder, so that results need only a new name.
  const target = mkdtempSync(join(folder, "target-"));
  try {
    await runMaven({
      pomPath,
      goals,
      defines: {
        "stampede.target": target,
        "stampede.properties": settingsPath,
        "stampede.heapMb": String(heapMb(people)),
      },
      logPath: join(folder, "maven.log"),
      report,
      cleanups,
    });
    renameSync(join(target, "results", "stampede.csv"), join(folder, "results.csv"));
    renameSync(join(target, "reports", "stampede"), join(folder, "report"));
    renameSync(join(target, "logs", "stampede.jmx.log"), join(folder, "jmeter.log"));
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
  report("reading the rows");
  const samples = readJtl(readFileSync(join(folder, "results.csv"), "utf8"));
  const sale = await shop.readSale(eventId);
  return judgeSamples({ mechanism, version, eventId, people, limit }, { samples, sale });
}

/** What the plan is given, by the names that it has for it. */
function settings(
  shop: Shop,
  crowd: JmeterCrowd,
  { eventId, run }: { readonly eventId: string; readonly run: string },
): string {
  const { hostname, port } = new URL(shop.url);
  const values = {
    version: crowd.mechanism.version,
    event: eventId,
    limit: crowd.limit,
    people: crowd.people,
    crowd: `jm-${run}`,
    host: hostname,
    port: port === "" ? "80" : port,
    ramp: crowd.rampSeconds,
    deadline: crowd.deadlineSeconds,
  };
  const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
  return lines.join("");
}

/** JMeter clones the plan for every thread; collecting garbage in a tight heap stops all of them. */
function heapMb(people: number): number {
  return Math.max(512, Math.ceil(people / 2));
}
