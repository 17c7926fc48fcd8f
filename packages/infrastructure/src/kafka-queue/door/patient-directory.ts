import type { EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory, KnownEvent, SharedReading } from "../postgres/event-directory.ts";
import type { Postgres } from "../postgres/open.ts";

/** The directory for a door that goes on without PostgreSQL: it never makes a claim wait for long. */
export type PatientDirectory = {
  /**
   * The event, at most a second old; the last known one while PostgreSQL does not tell. Rejects with
   * `EngineFault` ("not-applied") where nothing is known.
   */
  event(eventId: EventId): KnownEvent | Promise<KnownEvent>;
  /**
   * The event and the coupon issues of those who ask now, `userId` among them; null where PostgreSQL
   * does not tell in time. All who ask in one turn of the event loop share the promise and its timer.
   */
  read(eventId: EventId, userId: UserId): Promise<SharedReading | null> | null;
};

/** A claim waits this long for what PostgreSQL says about it, and then queues without. */
const ANSWER_MS_MAX = 500;
/** ... after which others do not wait at all, so that a hanging database is asked now and then only. */
const ASK_AGAIN_MS = 1_000;

export function patientDirectory(postgres: Postgres, directory: EventDirectory): PatientDirectory {
  let askAgainAtMs = 0;

  const mayAsk = (): boolean => postgres.isUp() && postgres.time.nowMs() >= askAgainAtMs;

  let shared: Promise<SharedReading | null> | null = null;
  let sharedInTime: Promise<SharedReading | null> | null = null;

  const inTime = async <Answer>(asking: Promise<Answer>): Promise<Answer | "late"> =>
    new Promise((resolve, reject) => {
      const giveUp = (): void => {
        askAgainAtMs = postgres.time.nowMs() + ASK_AGAIN_MS;
        resolve("late");
      };
      const callOff = postgres.time.after(ANSWER_MS_MAX, giveUp);
      asking.then(
        (answer) => {
          callOff();
          return resolve(answer);
        },
        (error: unknown) => {
          callOff();
          // Away or overloaded: people queue meanwhile, which is what the log is for.
          if (error instanceof EngineFault) giveUp();
          else reject(error);
        },
      );
    });

  return {
    event(eventId) {
      const last = directory.peek(eventId);
      const asking = directory.fresh(eventId);
      if (!(asking instanceof Promise)) return asking;
      if (last === null) return asking.then((answer) => answer ?? missing(eventId));
      if (!mayAsk()) return last;
      return inTime(asking).then((answer) =>
        answer === "late" ? last : (answer ?? missing(eventId)),
      );
    },
    read(eventId, userId) {
      if (!mayAsk()) return null;
      const asking = directory.readShared(eventId, userId);
      if (asking !== shared) {
        shared = asking;
        sharedInTime = inTime(asking).then((answer) =>
          answer === "late" ? null : (answer ?? missing(eventId)),
        );
      }
      return sharedInTime;
    },
  };
}

function missing(eventId: EventId): never {
  throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
}
