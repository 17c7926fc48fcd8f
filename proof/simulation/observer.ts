// What must hold at every moment, looked at after every commit and every script: the end of a sale
// does not show what was wrong for a while.
import { claimScript, deleteScript } from "@stampede/infrastructure/src/redis-counter/scripts.ts";
import type { Broker } from "./engines/kafka.ts";
import type { Database } from "./engines/database.ts";
import type { RedisServer } from "./engines/redis.ts";
import type { IssueRecord } from "./engines/tables.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";

const LOST_COMMIT = "COMMIT reply lost after the commit";

export type Observer = {
  readonly violations: string[];
  /** Persons to whom the script gave a number, each behind their event (`reservation`). */
  readonly reserved: ReadonlySet<string>;
  /** When a COMMIT was done whose reply was lost. */
  readonly lostCommitsMs: ReadonlySet<number>;
};

export type ObserverOptions = {
  readonly database: Database;
  readonly redis: RedisServer;
  readonly broker: Broker;
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  /** What happened, of the marks that a run has to meet. */
  readonly marks: Set<string>;
  /** All that are sold. */
  readonly eventIds: readonly string[];
  /** Requests that are open now. */
  readonly inFlight: () => number;
};

export function observe(options: ObserverOptions): Observer {
  const { database, redis, broker, scheduler, trace, marks, eventIds, inFlight } = options;
  const violations: string[] = [];
  const reserved = new Set<string>();
  const lostCommitsMs = new Set<number>();
  const object = (finding: string): void => {
    if (!violations.includes(finding)) violations.push(finding);
  };
  const looks = eventIds.map((eventId) => {
    const name = eventIds.length === 1 ? "" : ` of ${eventId}`;
    return lookAt(options, eventId, (finding) => object(`${finding}${name}`));
  });
  database.onCommit = () => {
    for (const { rows } of looks) trace.note(scheduler.nowMs, `commit ${rows()}`);
  };
  redis.onScript = ([, sha1, keyCount, ...words], answer) => {
    const args = words.slice(Number(keyCount));
    trace.note(scheduler.nowMs, `script ${args.join(" ")} -> ${String(answer)}`);
    if (args[0] === "open" && inFlight() > 0) {
      marks.add("rebuild with claims in flight");
    }
    const eventId = /\{(?<id>[^}]+)\}/.exec(words[0] ?? "")?.groups?.["id"] ?? "";
    if (Array.isArray(answer)) {
      if (answer.includes("wait")) marks.add("claim waited for the rows");
      args.slice(2).forEach((person, index) => {
        if (typeof answer[index] === "number") reserved.add(reservation(eventId, person));
      });
    }
    looks.find((look) => look.eventId === eventId)?.redis(sha1, answer);
  };
  database.onAnswer = (what) => {
    marks.add(what);
    if (what === LOST_COMMIT) lostCommitsMs.add(scheduler.nowMs);
    // The constraints guard once more what the locks guard already: they should never have to speak.
    if (what === "23505" || what === "23514") object(`S24: a constraint spoke: ${what}`);
  };
  broker.onAnswer = (what) => void marks.add(what);
  redis.onMissingScript = () => void marks.add("NOSCRIPT");
  return { violations, reserved, lostCommitsMs };
}

export function reservation(eventId: string, person: string): string {
  return `${eventId} ${person}`;
}

type Look = {
  readonly eventId: string;
  /** After a commit; gives a line for the trace. */
  readonly rows: () => string;
  /** After a script that was about this event. */
  readonly redis: (sha1: string | undefined, answer: unknown) => void;
};

function lookAt(
  { database, broker, marks }: ObserverOptions,
  eventId: string,
  object: (finding: string) => void,
): Look {
  const seen: IssueRecord[] = [];
  let limit = 0;
  let [epoch, mark] = [0, 0];
  let ended = false;

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
  return {
    eventId,
    rows() {
      lookAtRows();
      const count = database.tables.issues.get(eventId)?.size ?? 0;
      return `${eventId} ${count} rows, mark ${epoch} ${mark}`;
    },
    redis(sha1, answer) {
      const event = database.tables.events.get(eventId);
      if (event === undefined) return;
      const isSoldOut = event.issued === event.limit;
      if (sha1 === deleteScript.sha1 && answer === 1) {
        // No sale of a simulation closes: it is finished when it is sold out.
        if (!isSoldOut && database.tables.generations.has(eventId)) {
          object(`S17: deleted from Redis at ${event.issued} of ${event.limit} rows`);
        }
        if (isSoldOut) marks.add("Redis forgot a finished sale");
      }
      if (sha1 === claimScript.sha1 && answer === "closed" && isSoldOut) {
        marks.add("claim came after Redis had forgotten the sale");
      }
    },
  };
}
