// The line of claims in front of one event's log. Whoever arrives while a batch is on its way shares
// the next one: under a stampede a batch grows to thousands of claims, alone a claim leaves at once.
import type { EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { publishBatch } from "../../engines/telemetry.ts";
import type { Time } from "../../engines/time.ts";
import type { ClaimRecord } from "../log/claim-codec.ts";
import type { LogWriter } from "../log/log-writer.ts";
import { encodeClaims, recordBytesMax } from "../log/record-batch.ts";

export type ClaimLine = {
  /**
   * Appends this person's claim and answers with its ticket, after the log has it. Rejects with
   * `EngineFault`: "not-applied" where the claim never left this process or was refused.
   */
  append(userId: UserId): Promise<number>;
  /** Gets ready for a first claim that is about to come. Never rejects. */
  prepare(): Promise<void>;
  /** Nothing waits and nothing is on its way. */
  isIdle(): boolean;
  /** The taken share of this line, 0 to 1; at 1 the next claim is turned away. */
  saturation(): number;
};

/** Claims of one event that wait in this process; one more is turned away. */
const WAITING_MAX = 50_000;
const WAIT_MS_MAX = 5_000;
/** Half the broker's limit of a message, so that a batch with its head always fits. */
const BATCH_BYTES_MAX = 512_000;
const BATCH_CLAIMS_MAX = 5_000;

type Waiting = {
  readonly userId: UserId;
  readonly sinceMs: number;
  readonly resolve: (ticket: number) => void;
  readonly reject: (error: EngineFault) => void;
};

export function claimLine(options: {
  readonly eventId: EventId;
  readonly writer: LogWriter;
  readonly time: Time;
  /** Called when a batch leaves; gives the judge of its tickets: null, or what is wrong with them. */
  readonly watchBatch: () => (baseOffset: number, count: number) => string | null;
}): ClaimLine {
  const { eventId, writer, time, watchBatch } = options;
  let waiting: Waiting[] = [];
  let sending = false;

  const sendOne = async (batch: Waiting[], claims: readonly ClaimRecord[]): Promise<void> => {
    try {
      publishBatch("kafka-produce", claims.length);
      const judgeTickets = watchBatch();
      const baseOffset = await writer.append(encodeClaims(claims));
      const wrong = judgeTickets(baseOffset, batch.length);
      if (wrong !== null) throw new EngineFault("kafka", "unknown", wrong);
      batch.forEach((claim, index) => claim.resolve(baseOffset + index));
    } catch (error) {
      for (const claim of batch) claim.reject(faultOf(error));
    }
  };
  const sendAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      turnAwayLate();
      const claims: ClaimRecord[] = [];
      let bytes = 0;
      for (const { userId } of waiting) {
        const claim = { eventId, userId };
        bytes += recordBytesMax(claim);
        if (bytes > BATCH_BYTES_MAX || claims.length === BATCH_CLAIMS_MAX) break;
        claims.push(claim);
      }
      const batch = waiting.slice(0, claims.length);
      waiting = waiting.slice(claims.length);
      if (batch.length > 0) await sendOne(batch, claims);
    }
    sending = false;
  };
  const turnAwayLate = (): void => {
    const oldestMs = time.nowMs() - WAIT_MS_MAX;
    const late = waiting.findIndex((claim) => claim.sinceMs >= oldestMs);
    const gone = waiting.splice(0, late === -1 ? waiting.length : late);
    for (const claim of gone) {
      claim.reject(
        new EngineFault("kafka", "not-applied", `the log of ${eventId} was not reached in time`),
      );
    }
  };

  return {
    async append(userId) {
      return new Promise((resolve, reject) => {
        if (waiting.length >= WAITING_MAX) {
          reject(tooMany(eventId));
          return;
        }
        waiting.push({ userId, sinceMs: time.nowMs(), resolve, reject });
        if (sending) return;
        sending = true;
        // The end of this turn: all claims that arrive in it share the first batch.
        time.endOfTurn(() => void sendAll());
      });
    },
    async prepare() {
      // What cannot be had now is asked for again by the first claim, which is told the fault.
      await writer.prepare().catch(() => undefined);
    },
    isIdle: () => !sending && waiting.length === 0,
    saturation: () => waiting.length / WAITING_MAX,
  };
}

function tooMany(eventId: EventId): EngineFault {
  const message = `too many claims of ${eventId} wait in this process`;
  return new EngineFault("kafka", "not-applied", message);
}

/** After a bug in between nobody knows whether the batch went out. */
function faultOf(error: unknown): EngineFault {
  if (error instanceof EngineFault) return error;
  return new EngineFault("kafka", "unknown", "appending claims failed", { cause: error });
}
