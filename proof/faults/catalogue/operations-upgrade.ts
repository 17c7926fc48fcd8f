// O8: an upgrade in the middle of a sale, from a build before the codes of v3 followed from a key and
// before there was a v4.
// It sells on all that it has, is killed while people claim and while a line of v3 waits, and this build
// starts on what it has left: rows, a queue without a key, records that bring codes, keys in Redis.
//
// Red when a record of the schema before is no claim any more (`SCHEMA_WITH_CODE` in
// kafka-queue/log/claim-codec.ts), or when queues that are there get no key (migration 0006).
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { MECHANISMS, queues } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { checkOutBuildBefore } from "../support/build-before.ts";
import { readLog } from "../support/kafka-operator.ts";
import { changeEvent, makeEvent, saleOf } from "../support/operations.ts";
import type { EventSeen } from "../support/operations.ts";
import { queueOf, topicOf } from "../support/queue.ts";
import { claimAtOnce, claimUntilAnswered, people, throughInstance } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const LIMIT = 150;
/** v3, until the upgrade: most of those who came before it are undecided. */
const PACE = 10;
const BEFORE = 60;
const MEANWHILE = 60;
const MEANWHILE_MS = 3_000;
const KILLED_MS = { from: 500, to: 2_500 };
const AFTER = 200;
const UNDECIDED = "records of the build before were decided by this one";

type Selling = { readonly event: EventSeen; readonly sale: Sale; readonly told: Attempt[] };

export const upgradeCase: FaultCase = {
  id: "O8",
  mechanisms: MECHANISMS.filter((name) => name !== "group-commit"),
  injects: "SIGKILL of the build before in mid-sale, and this build on what it has left",
  holds: "all who were told keep theirs, and the rest is decided",
  runs: "all",
  needs: ["history"],
  expects: (mechanism) => (queues({ mechanism }) ? [UNDECIDED] : []),
  place: "own",
  async run(stage) {
    const old = await startProgram(stage.t, {}, { folder: checkOutBuildBefore(stage.t) });
    const sellings: Selling[] = [];
    for (const mechanism of stage.mechanisms) {
      const pace = queues({ mechanism }) ? { pace: PACE } : {};
      const wanted = { id: `before-${people(1)[0]}`, mechanism, limit: LIMIT, ...pace };
      const { event, problem } = await makeEvent(old, wanted);
      assert.ok(event !== null, problem ?? "");
      const sale = saleOf(old, event);
      sellings.push({ event, sale, told: await claimAtOnce(sale, people(BEFORE)) });
    }
    const spread = { spreadMs: MEANWHILE_MS };
    const waves = sellings.map(async ({ sale, told }) => {
      told.push(...(await claimAtOnce(sale, people(MEANWHILE), spread)));
    });
    await new Promise((go) => setTimeout(go, stage.pick(KILLED_MS.from, KILLED_MS.to)));
    await old.kill();
    stage.injected();
    await Promise.all(waves);
    const marks = new Map<string, number>();
    for (const { sale } of sellings) {
      if (queues(sale)) marks.set(sale.eventId, await markThen(stage, sale));
    }
    const { databaseUrl } = old;
    // Its own database stays empty and is dropped with it.
    const direct = { databaseUrl };
    const next = await startProgram(stage.t, { DATABASE_URL: databaseUrl }, { direct });
    const healedMs = performance.now();
    await Promise.all(
      sellings.map(async ({ event, sale, told }) => {
        const there = throughInstance(sale, next);
        if (queues(sale))
          assert.equal((await changeEvent(next, event, { pace: null })).status, 200);
        const left = told.filter(({ outcome }) => outcome === "refused" || outcome === "unknown");
        const persons = [...new Set(left.map(({ person }) => person)), ...people(AFTER)];
        const within = { spreadMs: 500, deadlineMs: 20_000 };
        const again = await claimUntilAnswered(there, persons, within);
        const stored = await finish(stage, there, [...told, ...again], { healedMs });
        if (queues(sale)) await assertCodes(there, stored.rows, marks.get(sale.eventId)!);
      }),
    );
  },
};

type Row = { readonly ticket: number | null; readonly code: string };

/** Where the mark stood when the build before was gone, with records of its own on both sides. */
async function markThen(stage: Stage, sale: Sale): Promise<number> {
  const { nextOffset } = await queueOf(sale);
  const log = await readLog(await topicOf(sale));
  const codes = log.map(({ value }) => codeIn(value));
  happened(nextOffset > 0 && nextOffset < log.length, "the line was all decided, or none of it");
  assert.ok(
    codes.every((code) => code !== null),
    "the build before wrote codes",
  );
  stage.notes(sale.mechanism).met(UNDECIDED);
  return nextOffset;
}

/** A row keeps the code that it was told with; nobody who was decided later has one of the log's. */
async function assertCodes(sale: Sale, rows: readonly Row[], mark: number): Promise<void> {
  const log = await readLog(await topicOf(sale));
  for (const { ticket, code } of rows) {
    const brought = codeIn(log[ticket!]!.value);
    assert.equal(code === brought, ticket! < mark, `the code of ticket ${ticket}`);
  }
}

function codeIn(value: Buffer | null): string | null {
  const { code } = JSON.parse(String(value)) as { readonly code?: string };
  return code ?? null;
}
