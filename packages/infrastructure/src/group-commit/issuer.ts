// v4, group commit: the honest row lock of v1, taken once for all claims that arrived while the
// transaction before it ran. PostgreSQL alone decides; there is nothing beside it that could disagree.
//
// A claim's way: in line -> in a batch -> answered after the batch's COMMIT
//   - One batch of an event at a time. Its transaction is v1's in the plural: the event row's lock, the
//     persons and the database's clock read under it, each claim decided by the domain's rule in the
//     order of arrival, the winners' rows, COMMIT.
//   - While coupons are left a batch holds some hundreds, since each may become a row and the lock is
//     held for all of them. Once the event is known to be sold out, nobody writes, and it holds thousands.
//   - What fails before COMMIT is certainly not applied, for all of the batch. A lost COMMIT is resolved
//     by running the batch again: a row with a claim's own code is that claim's. Only where that fails
//     too is the outcome unknown.
//   - Where the server refuses somebody's data, that claim fails and its neighbours do not.
//
// Answered without the lock is only what can never change: an event of which this process has read or
// written every coupon issue, all committed (`EventDirectory.final`). The end of a batch whose COMMIT
// is not answered is not known to anybody, here as little as there.
//
// Bounds: one line per event with claims under way, forgotten when it is idle; in each 50,000 claims and
// no more than can be decided in time (rows/backlog.ts), in all of them together 100,000.
import type { ClaimAnswer, CouponIssuer, EventId, UserId } from "@stampede/domain";
import { doorRefusal, EngineFault, ok, refuse } from "@stampede/domain";
import { fullest } from "../engines/measure.ts";
import type { Fullness } from "../engines/measure.ts";
import { publishBatch } from "../engines/telemetry.ts";
import { untilSettled } from "../engines/time.ts";
import { statusByRows } from "../rows/status.ts";
import { BatchWriter } from "../rows/batch-writer.ts";
import type { BatchWriterOptions, InLine } from "../rows/batch-writer.ts";
import type { BatchAnswer } from "../rows/coupon-issues.ts";
import { BATCH_ROWS_MAX, writeBatch } from "../rows/write-batch.ts";
import type { Door, RowWriting } from "../rows/write-batch.ts";
import { measuredBacklog } from "../rows/backlog.ts";
import type { Backlog } from "../rows/backlog.ts";

export type GroupCommitIssuer = CouponIssuer &
  Fullness & {
    /** Claims that are not answered yet. */
    inFlight(): number;
    /** Events that have claims in flight. */
    eventsInUse(): number;
    /** Takes no more claims and waits, for a bounded time, until those taken are answered. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
  };

/** Claims that may wait for an answer, of all events; one more is turned away. About 1 KiB each. */
const IN_FLIGHT_MAX = 100_000;
/** ... and of one event. */
const IN_FLIGHT_OF_EVENT_MAX = 50_000;
/**
 * Before anything was measured, a machine as slow as one meets them; and a crowd at one instant is
 * decided on its merits, however slow the machine is.
 */
const BACKLOG = { perMs: 5, least: 10_000 };
/** Claims of one transaction that finds the event sold out: it reads who has a coupon. */
const BATCH_LOSERS_MAX = 5_000;
const DRAIN_MS_MAX = 8_000;
/** Ten thousand claims at one instant take about two seconds; the rest is for slow machines. */
const ANSWER_MS_MAX = 30_000;

/** The claims of one event that wait. */
type Line = {
  readonly writer: BatchWriter<null>;
  readonly backlog: Backlog;
  inFlight: number;
};

/** Judged under the lock, as v1 does. */
export const UNDER_THE_LOCK: Door = { refusal: doorRefusal, earlyMsMax: 0 };

const soldOut = { kind: "sold-out" } as const;
const SOLD_OUT: BatchAnswer = refuse(soldOut);
const TOLD_SOLD_OUT: ClaimAnswer = { kind: "refused", refusal: soldOut };

export function groupCommitIssuer(writing: RowWriting): GroupCommitIssuer {
  const { postgres, directory } = writing;
  const lines = new Map<EventId, Line>();
  let inFlight = 0;
  let closing = false;

  const addLine = (eventId: EventId): Line => {
    const backlog = measuredBacklog(BACKLOG);
    const writer = new BatchWriter<null>({
      ...batchesOf(eventId, writing, backlog),
      onAnswered: (claims) => {
        inFlight -= claims;
        line.inFlight -= claims;
      },
      onIdle: () => void lines.delete(eventId),
    });
    const line: Line = { writer, backlog, inFlight: 0 };
    lines.set(eventId, line);
    return line;
  };
  /** Null: the claim may wait. */
  const whyNot = (line: Line | undefined, userId: UserId): string | null => {
    if (closing) return "this process is shutting down";
    if (inFlight >= IN_FLIGHT_MAX) return "too many claims wait in this process";
    if (!postgres.isUp()) return "PostgreSQL is away";
    if (line === undefined) return null;
    const { writer, backlog } = line;
    if (line.inFlight >= IN_FLIGHT_OF_EVENT_MAX) return "too many claims of this event wait here";
    if (backlog.room(writer.waiting) > 0 || writer.has(userId)) return null;
    return "more claims of this event wait than can be decided in time";
  };

  const issuer: GroupCommitIssuer = {
    // No async function: a turn and some objects saved for each of ten thousand.
    claim(eventId, userId) {
      const final = directory.final(eventId, userId);
      if (final === "sold-out") return Promise.resolve(TOLD_SOLD_OUT);
      if (final !== null) return Promise.resolve({ kind: "replayed", couponIssue: final });
      const known = lines.get(eventId);
      const reason = whyNot(known, userId);
      if (reason !== null)
        return Promise.reject(new EngineFault("postgres", "not-applied", reason));
      const line = known ?? addLine(eventId);
      inFlight += 1;
      line.inFlight += 1;
      return line.writer.write(userId, null);
    },
    async status(eventId, userId) {
      return statusByRows(await directory.lookUp(eventId, userId));
    },
    available: () => !closing && postgres.isUp(),
    inFlight: () => inFlight,
    eventsInUse: () => lines.size,
    saturation: () => fullest(inFlight / IN_FLIGHT_MAX, issuer.lines()),
    *lines() {
      for (const [id, line] of lines) yield [id, line.inFlight / IN_FLIGHT_OF_EVENT_MAX];
    },
    async close() {
      closing = true;
      await untilSettled(postgres.time, () => inFlight === 0, DRAIN_MS_MAX);
    },
    [Symbol.asyncDispose]: async () => issuer.close(),
  };
  return issuer;
}

/** How the claims of one event are taken and decided. */
function batchesOf(
  eventId: EventId,
  writing: RowWriting,
  backlog: Backlog,
): Omit<BatchWriterOptions<null>, "onAnswered" | "onIdle"> {
  const { postgres, directory, drawCode } = writing;
  const { time } = postgres;

  /** Null: the database has to be asked. */
  const finalAnswers = (batch: readonly InLine<null>[]): readonly BatchAnswer[] | null => {
    const answers: BatchAnswer[] = [];
    for (const { userId } of batch) {
      const final = directory.final(eventId, userId);
      if (final === null) return null;
      answers.push(final === "sold-out" ? SOLD_OUT : ok({ kind: "replayed", couponIssue: final }));
    }
    return answers;
  };
  return {
    time,
    owed: false,
    answerMsMax: ANSWER_MS_MAX,
    take(line) {
      const event = directory.peek(eventId)?.event;
      const nobodyWins = event !== undefined && event.issued === event.limit;
      return line.splice(0, nobodyWins ? BATCH_LOSERS_MAX : BATCH_ROWS_MAX);
    },
    begin(batch) {
      const known = finalAnswers(batch);
      if (known !== null) return () => Promise.resolve(known);
      publishBatch("group-commit", batch.length);
      // Drawn once for all attempts: by its code a claim knows the row that a lost COMMIT left.
      const claims = batch.map(({ userId }) => ({ userId, code: drawCode() }));
      return async () => {
        const startedMs = time.nowMs();
        const { answers } = await writeBatch(writing, eventId, claims, UNDER_THE_LOCK);
        backlog.noteDecided(claims.length, time.nowMs() - startedMs);
        return answers.map((answer, index) => asOwn(answer, claims[index]?.code));
      };
    },
  };
}

/** A row with the claim's own code was written by an attempt whose COMMIT was lost. */
function asOwn(answer: BatchAnswer, code: string | undefined): BatchAnswer {
  if (!answer.ok || answer.value.couponIssue.code !== code) return answer;
  return ok({ kind: "issued", couponIssue: answer.value.couponIssue });
}
