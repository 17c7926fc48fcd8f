import type { EventId } from "@stampede/domain";
import { decodeClaim } from "./claim-codec.ts";
import type { QueueEntry } from "../decider/decide-batch.ts";
import type { LogRecord } from "./log-reading.ts";

/** Where the decider is in an event's log. */
export type LogPlace = { readonly eventId: EventId; readonly nextOffset: number };

/**
 * The entries up to a record that must stop the event, and why it must.
 *
 * A log that offers one offset twice is broken, and Kafka makes such logs: a broker whose disk is full
 * may write a batch, fail on its index, and write at the same offset again (K9). The same batch sent
 * again is harmless. Of two different ones, one may have been acknowledged and nobody knows which:
 * deciding either would lose somebody's place without a word.
 */
export function entriesOf(
  at: LogPlace,
  records: readonly LogRecord[],
): { readonly entries: readonly QueueEntry[]; readonly stop: string | null } {
  const entries: QueueEntry[] = [];
  const read: LogRecord[] = [];
  for (const record of records) {
    const ticket = at.nextOffset + entries.length;
    const before = read[record.offset - at.nextOffset];
    if (before !== undefined) {
      if (isSame(before, record)) continue;
      const stop = `the log has two records at offset ${record.offset}`;
      return { entries: entries.slice(0, record.offset - at.nextOffset), stop };
    }
    if (record.offset !== ticket) {
      return { entries, stop: `the log has a hole: ${record.offset} follows ${ticket - 1}` };
    }
    read.push(record);
    if (record.control) {
      entries.push({ ticket, rejected: "a transaction's marker" });
      continue;
    }
    const decoded = decodeClaim(at.eventId, record);
    if (decoded.kind === "newer-schema") {
      const stop = `record ${ticket} has schema ${decoded.schema}: update every decider`;
      return { entries, stop };
    }
    if (decoded.kind === "claim") entries.push({ ticket, claim: decoded.claim });
    else entries.push({ ticket, rejected: decoded.reason });
  }
  return { entries, stop: null };
}

function isSame(one: LogRecord, other: LogRecord): boolean {
  const [key, value] = [one.key ?? Buffer.alloc(0), one.value ?? Buffer.alloc(0)];
  const isEqual = key.equals(other.key ?? Buffer.alloc(0));
  return isEqual && value.equals(other.value ?? Buffer.alloc(0));
}
