// What must hold at every moment, looked at after every commit and every script: the end of a sale
// does not show what was wrong for a while.
import { openedBy } from "@stampede/infrastructure/seams";
import type { Broker } from "./engines/kafka.ts";
import type { Database } from "./engines/database.ts";
import { hashOf } from "./engines/redis-scripts.ts";
import type { RedisServer } from "./engines/redis.ts";
import type { IssueRecord } from "./engines/tables.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";

export type Observer = {
  readonly violations: string[];
  /** Persons to whom the script gave a number. */
  readonly reserved: ReadonlySet<string>;
};

export function observe(options: {
  readonly database: Database;
  readonly redis: RedisServer;
  readonly broker: Broker;
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  /** What happened, of the marks that a run has to meet. */
  readonly marks: Set<string>;
  readonly eventId: string;
  /** Requests that are open now. */
  readonly inFlight: () => number;
}): Observer {
  const { database, redis, broker, scheduler, trace, marks, eventId, inFlight } = options;
  const violations: string[] = [];
  const reserved = new Set<string>();
  const seen: IssueRecord[] = [];
  let limit = 0;
  let [epoch, mark] = [0, 0];
  let ended = false;
  const object = (finding: string): void => {
    if (!violations.includes(finding)) violations.push(finding);
  };

  const lookAtRows = (): void => {
    const event = database.tables.events.get(eventId);
    if (event === undefined) return;
    const rows = database.tables.issuesOf(eventId);
    if (rows.length > event.limit) object(`S1: ${rows.length} rows of ${event.limit}`);
    if (event.limit < limit) object("S20: the limit was lowered");
    if (event.limit > limit && limit > 0 && seen.length === limit)
      object("S20: raised after the end");
    limit = event.limit;
    if (event.issued !== rows.length) object(`S24: issued ${event.issued}, ${rows.length} rows`);
    for (const [index, row] of rows.entries()) {
      if (row.seq !== index + 1) object(`S24: a gap before seq ${row.seq}`);
      const known = seen[index];
      if (known !== undefined && known.code !== row.code) object(`S1: seq ${row.seq} changed`);
      seen[index] = row;
    }
    const queue = database.tables.queues.get(eventId);
    if (queue === undefined) return;
    if (queue.epoch < epoch || (queue.epoch === epoch && queue.nextOffset < mark)) {
      object(`S15: (${queue.epoch}, ${queue.nextOffset}) after (${epoch}, ${mark})`);
    }
    if (queue.nextOffset < mark) object(`S15: the mark went back to ${queue.nextOffset}`);
    [epoch, mark] = [queue.epoch, queue.nextOffset];
    const last = rows.at(-1)?.ticket ?? -1;
    if (rows.length === event.limit) {
      if (!ended && last + 1 < mark) marks.add("batch split across the last coupon");
      ended = true;
      const end = broker.logs.get(queue.topic)?.records.length ?? 0;
      if (mark < end) marks.add("sold out told while records were undecided");
    }
    if (last >= mark) object(`S14: a row of ticket ${last}, the mark at ${mark}`);
  };
  const lookAtRedis = (): void => {
    const event = database.tables.events.get(eventId);
    const state = hashOf(redis.keys, `stampede:{${eventId}}:state`);
    if (event === undefined || state.get("latch") !== "1") return;
    const generation = database.tables.generations.get(eventId) ?? "";
    // What an earlier generation or run says is told to nobody.
    if (state.get("open") !== openedBy(generation, redis.runId)) return;
    if (event.issued < event.limit)
      object(`S17: latched at ${event.issued} of ${event.limit} rows`);
  };
  database.onCommit = () => {
    const rows = database.tables.issuesOf(eventId).length;
    lookAtRows();
    trace.note(scheduler.nowMs, `commit ${rows} rows, mark ${epoch} ${mark}`);
  };
  redis.onScript = ([, , keyCount, ...words], answer) => {
    const args = words.slice(Number(keyCount));
    trace.note(scheduler.nowMs, `script ${args.join(" ")} -> ${String(answer)}`);
    if (args[0] === "open" && args[3] === "0" && inFlight() > 0) {
      marks.add("rebuild with claims in flight");
    }
    if (Array.isArray(answer)) {
      if (answer.includes("wait")) marks.add("claim waited for the latch");
      args.slice(2).forEach((person, index) => {
        if (typeof answer[index] === "number") reserved.add(person);
      });
    }
    lookAtRedis();
  };
  database.onAnswer = (what) => {
    marks.add(what);
    // The constraints guard once more what the locks guard already: they should never have to speak.
    if (what === "23505" || what === "23514") object(`S24: a constraint spoke: ${what}`);
  };
  broker.onAnswer = (what) => void marks.add(what);
  redis.onMissingScript = () => void marks.add("NOSCRIPT");
  return { violations, reserved };
}
