import type { EventId, UserId } from "@stampede/domain";
import { invariant } from "@stampede/domain";
import type { Postgres } from "../engines/postgres/open.ts";
import type { RedisSession } from "../engines/redis/open.ts";
import { keysOf, merge } from "./scripts.ts";
import { readIssuesOf } from "../rows/directory-rows.ts";
import { BATCH_ROWS_MAX } from "../rows/write-batch.ts";
import type { RowWriting } from "../rows/write-batch.ts";
import { writeReservations } from "./reservations.ts";

/** Persons of one page of a scan, of one question and of one script call: a few milliseconds each. */
const PAGE_PERSONS = 1_000;

/** Persons who hold a number in Redis and have no row: their reservations are still to be written. */
export async function findPending(
  session: RedisSession,
  postgres: Postgres,
  eventId: EventId,
): Promise<Set<UserId>> {
  const { persons } = keysOf(eventId);
  const pending = new Set<UserId>();
  let cursor = "0";
  do {
    const reply = await session.send("HSCAN", persons, cursor, "COUNT", String(PAGE_PERSONS));
    const page = scanPage(reply);
    ({ cursor } = page);
    // Rows are asked for after the persons were read: a row that is committed meanwhile is seen.
    const pairs = page.userIds.map((userId) => ({ eventId, userId }));
    const written = (await readIssuesOf(postgres, pairs)).get(eventId);
    for (const userId of page.userIds) if (written?.has(userId) !== true) pending.add(userId);
  } while (cursor !== "0");
  return pending;
}

/** Writes the rows of these reservations; how many there were to write. Rejects with `EngineFault`. */
export async function writePending(
  writing: RowWriting,
  eventId: EventId,
  userIds: readonly UserId[],
): Promise<number> {
  let rowsWritten = 0;
  for (let from = 0; from < userIds.length; from += BATCH_ROWS_MAX) {
    const page = userIds.slice(from, from + BATCH_ROWS_MAX);
    rowsWritten += (await writeReservations(writing, eventId, page)).added.length;
  }
  return rowsWritten;
}

/** The persons of all rows, a page at a time, in `seq` order (primary key). */
export async function* winnerPages(postgres: Postgres, eventId: EventId): AsyncGenerator<UserId[]> {
  let seq = 0;
  for (;;) {
    const rows = await postgres.query<{ user_id: UserId; seq: number }>(
      `SELECT i.user_id, i.seq FROM coupon_issues i
        WHERE i.event_id = $1 AND i.seq > $2 ORDER BY i.seq LIMIT $3`,
      [eventId, seq, PAGE_PERSONS],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    ({ seq } = last);
    yield rows.map((row) => row.user_id);
  }
}

/** Adds to Redis the persons of all rows that it does not know; how many there were. */
export async function mergeWinners(
  session: RedisSession,
  postgres: Postgres,
  to: { readonly eventId: EventId; readonly stamp: string },
): Promise<number> {
  let merged = 0;
  for await (const userIds of winnerPages(postgres, to.eventId)) {
    const added = await merge(session, { ...to, userIds });
    if (added === "closed") return merged;
    merged += added;
  }
  return merged;
}

function scanPage(reply: unknown): { readonly cursor: string; readonly userIds: UserId[] } {
  invariant(Array.isArray(reply), "HSCAN answers a cursor and a list");
  const [cursor, fields]: readonly unknown[] = reply;
  invariant(Array.isArray(fields), "HSCAN answers a cursor and a list");
  // Fields and values alternate; whatever is in this hash, our own scripts put there.
  return { cursor: String(cursor), userIds: fields.filter((_, index) => index % 2 === 0) };
}
