import type { MechanismFacts } from "../src/model/mechanism.ts";

/** Two that answer at once and one that queues, under the names and paths that the service has. */
export const memoryMechanisms = [
  facts("row-lock", "v1", false),
  facts("redis-counter", "v2", false),
  facts("kafka-queue", "v3", true),
] as const satisfies readonly MechanismFacts[];

function facts(name: string, version: string, queues: boolean): MechanismFacts {
  const title = `${name} in memory`;
  return { name, version, title, summary: "Decides on maps.", needs: ["postgres"], queues };
}
