// A reporter for node:test that gives a line of JSON for each test and nothing else: which of them
// passed, and what those that failed say. A suite is no test: it fails with what stands in it.
import { inspect } from "node:util";
import type { EventData } from "node:test";

type TestEvent = {
  readonly type: string;
  readonly data: EventData.TestPass | EventData.TestFail;
};

export type Told = {
  readonly name: string;
  readonly passed: boolean;
  readonly skipped: boolean;
  /** Of a failure: the error with its causes, and so much of what was compared as it shows. */
  readonly text: string;
};

/** @public `node --test` loads it by its path. */
export default async function* failuresReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  for await (const { type, data } of source) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.details.type === "suite") continue;
    const error = "error" in data.details ? data.details.error : null;
    const told: Told = {
      name: data.name,
      passed: type === "test:pass",
      skipped: data.skip !== undefined && data.skip !== false,
      text: error === null ? "" : inspect(error, { depth: 4, breakLength: 120 }),
    };
    yield `${JSON.stringify(told)}\n`;
  }
}
