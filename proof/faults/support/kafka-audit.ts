// A witness inside PostgreSQL: each commit that moves an epoch or a mark, who made it, and how many
// coupons were rows then. What the end of a sale cannot show (S14, S15, K12) stands there.
import assert from "node:assert/strict";
import type { StoredRecord } from "./kafka-records.ts";
import { withDatabase } from "./sale.ts";
import type { Sale } from "./sale.ts";

export type Commit = {
  readonly epoch: number;
  readonly mark: number;
  readonly rows: number;
  readonly issued: number;
  /** The database's user: each decider of a test has its own. */
  readonly decider: string;
};

/** Before anything is claimed. The trigger speaks at COMMIT: it sees what the commit makes true. */
export async function startAudit({ program }: Pick<Sale, "program">): Promise<void> {
  await withDatabase(program, async (client) => {
    // Another case on the same database may have started it.
    const { rows } = await client.query("SELECT to_regclass('queue_audit') AS audit");
    if (rows[0].audit !== null) return;
    await client.query(
      `CREATE TABLE queue_audit (
         n bigint GENERATED ALWAYS AS IDENTITY, event_id text, epoch bigint, mark bigint,
         rows integer, issued integer, decider text);
       CREATE FUNCTION audit_queue() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         INSERT INTO queue_audit (event_id, epoch, mark, rows, issued, decider)
         SELECT NEW.event_id, NEW.epoch, NEW.next_offset,
                (SELECT count(*) FROM coupon_issues i WHERE i.event_id = NEW.event_id),
                e.issued, session_user
           FROM events e WHERE e.id = NEW.event_id;
         RETURN NULL;
       END $$;
       CREATE CONSTRAINT TRIGGER audit_queue AFTER UPDATE OF epoch, next_offset ON queues
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_queue();
       GRANT ALL ON queue_audit TO PUBLIC`,
    );
  });
}

/** All that moved the epoch or the mark of this sale's queue, in order. */
export async function commitsOf({ program, eventId }: Sale): Promise<readonly Commit[]> {
  return withDatabase(program, async (client) => {
    const { rows } = await client.query<Commit>(
      `SELECT epoch::float8 AS epoch, mark::float8 AS mark, rows, issued, decider
         FROM queue_audit WHERE event_id = $1 ORDER BY n`,
      [eventId],
    );
    return rows;
  });
}

/**
 * Requires of every commit that epoch and mark only rise (S15), that the mark is moved by nobody but
 * whoever took the epoch, and that its rows are those of the log's records below its mark (S14).
 */
export async function assertAudit(sale: Sale, log: readonly StoredRecord[]): Promise<void> {
  const commits = await commitsOf(sale);
  assert.ok(commits.length > 0, "the audit saw nothing");
  const winners = winnersBelow(log, sale);
  let [epoch, mark, owner] = [0, 0, ""];
  for (const commit of commits) {
    const told = JSON.stringify(commit);
    assert.ok(
      commit.epoch > epoch || (commit.epoch === epoch && commit.mark >= mark),
      `S15: (${epoch}, ${mark}) is followed by ${told}`,
    );
    assert.ok(commit.mark >= mark, `S15: a mark of ${mark} is followed by ${told}`);
    if (commit.epoch > epoch) owner = commit.decider;
    assert.equal(commit.decider, owner, `the epoch was taken by ${owner}, and used by ${told}`);
    assert.equal(commit.rows, winners(commit.mark), `S14: rows below the mark of ${told}`);
    assert.equal(commit.issued, commit.rows, `S24: ${told}`);
    [epoch, mark] = [commit.epoch, commit.mark];
  }
}

/** How many coupons the log's records below an offset are worth. */
function winnersBelow(log: readonly StoredRecord[], sale: Sale): (mark: number) => number {
  const persons = new Set<string>();
  const counts = [0, ...log.map((record) => persons.add(personOf(record, sale) ?? "").size)];
  const strangers = log.findIndex((record) => personOf(record, sale) === null);
  // All that is no claim was counted as one person with an empty name.
  return (mark) => {
    const counted = (counts[mark] ?? Number.NaN) - (strangers !== -1 && mark > strangers ? 1 : 0);
    return Math.min(sale.limit, counted);
  };
}

function personOf({ key, value }: StoredRecord, { eventId }: Sale): string | null {
  try {
    const claim = JSON.parse(value?.toString() ?? "null") as Record<string, unknown> | null;
    const person = key?.toString() ?? null;
    return claim?.["eventId"] === eventId && claim["userId"] === person ? person : null;
  } catch {
    // What is no JSON is no claim.
    return null;
  }
}
