// The moment in which everything is written and nothing is committed, for as long as a test wants: a
// deferred trigger makes the COMMIT of whoever wrote a coupon issue wait, and fail if it is told to.
// Whoever is told something of that sale meanwhile was told a guess.
import type pg from "pg";
import { until } from "@stampede/launcher/testing";
import { blockedSessions } from "./postgres.ts";

export type HeldCommits = {
  /** Resolves when a transaction that wrote coupon issues waits in its COMMIT. */
  reached(): Promise<void>;
  /** Makes the commits that wait fail, and all that come until `release`. */
  refuse(): Promise<void>;
  /** Lets the commits that wait pass, and all that come. */
  release(): Promise<void>;
};

/** Holds commits in the database of this session, which is used for nothing else meanwhile. */
export async function holdCommits(session: pg.Client): Promise<HeldCommits> {
  await session.query(
    `CREATE TABLE commit_gate AS SELECT false AS refused;
     CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
       PERFORM pg_advisory_xact_lock_shared(1);
       IF (SELECT refused FROM commit_gate) THEN
         RAISE EXCEPTION 'refused at COMMIT' USING ERRCODE = 'integrity_constraint_violation';
       END IF;
       RETURN NULL;
     END $$;
     CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT ON coupon_issues
       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_commit();
     SELECT pg_advisory_lock(1)`,
  );
  const setRefused = async (refused: boolean): Promise<void> => {
    await session.query("UPDATE commit_gate SET refused = $1", [refused]);
    // The lock is held once at most; where it is not held, this is a warning.
    await session.query("SELECT pg_advisory_unlock(1)");
  };
  return {
    reached: async () =>
      until(async () => {
        const blocked = await blockedSessions(session);
        return blocked.some(({ query }) => query === "COMMIT");
      }, "a COMMIT waits"),
    refuse: async () => setRefused(true),
    release: async () => setRefused(false),
  };
}
