// A reporter for a run of some rows: node:test's own `spec`, in which the tests of other rows are
// skipped. They end as failures, the one way to end a test from within (`refuseUnselected` in
// support/row.ts), and a suite fails with what stands in it: who replays a row shall see that row and
// nothing else fail. The runner's totals count them too and are left out; the table of rows follows.
import { Readable } from "node:stream";
import type { EventData } from "node:test";
import { spec } from "node:test/reporters";

type Ended = EventData.TestPass | EventData.TestFail;

type TestEvent = { readonly type: string; readonly data: unknown };

const RUNNERS_TOTALS = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /;

export default async function* selectedReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  yield* Readable.from(onlySelected(source)).compose(new spec());
}

/** Skips tests of other rows; a suite in which nothing else failed has passed. */
export async function* onlySelected(source: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  /** By file: at which depths something failed since the last end of the depth above. */
  const failed = new Map<string, Set<number>>();
  for await (const { type, data } of source) {
    if (type === "test:diagnostic") {
      const { nesting, message } = data as EventData.TestDiagnostic;
      if (nesting > 0 || !RUNNERS_TOTALS.test(message)) yield { type, data };
      continue;
    }
    if (type !== "test:pass" && type !== "test:fail") {
      yield { type, data };
      continue;
    }
    const ended = data as Ended;
    const depths = failed.get(ended.file ?? "") ?? new Set();
    failed.set(ended.file ?? "", depths);
    const hasFailures = depths.delete(ended.nesting + 1);
    const isFailure =
      type === "test:fail" && !isOfAnotherRow(ended) && (hasFailures || !isOfSubtests(ended));
    if (isFailure) depths.add(ended.nesting);
    yield isFailure ? { type, data } : { type: "test:pass", data: withoutError(ended) };
  }
}

function isOfAnotherRow({ skip }: Ended): boolean {
  return typeof skip === "string" && skip.startsWith("only ");
}

function isOfSubtests({ details }: Ended): boolean {
  if (!("error" in details)) return false;
  const { failureType } = details.error as { readonly failureType?: string };
  return failureType === "subtestsFailed";
}

function withoutError({ details, ...ended }: Ended): object {
  return { ...ended, details: { ...details, error: undefined } };
}
