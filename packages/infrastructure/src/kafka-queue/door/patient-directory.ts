import type { EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type {
  EventDirectory,
  KnownEvent,
  Look,
  SharedReading,
} from "../../rows/event-directory.ts";
import type { Postgres } from "../../engines/postgres/open.ts";

/** The directory for a door that goes on without PostgreSQL: it never makes a claim wait for long. */
export type PatientDirectory = {
  /** The event, as known or asked for. Rejects with `EngineFault` ("not-applied") without either. */
  event(eventId: EventId): Promise<KnownEvent>;
  /**
   * What is known now; and for somebody whom that does not settle, the event and the coupon issues of
   * those who ask now, null where PostgreSQL does not tell in time. All who ask in one turn of the
   * event loop share that promise and its timer.
   */
  look(eventId: EventId, userId: UserId): Look;
};

/** A claim waits this long for what PostgreSQL says about it, and then queues without. */
const ANSWER_MS_MAX = 500;
/** ... after which others do not wait at all, so that a hanging database is asked now and then only. */
const ASK_AGAIN_MS = 1_000;

export function patientDirectory(postgres: Postgres, directory: EventDirectory): PatientDirectory {
  let askAgainAtMs = 0;

  const mayAsk = (): boolean => postgres.isUp() && postgres.time.nowMs() >= askAgainAtMs;

  /** All who share a reading share its timer too, also where several sales have theirs at once. */
  const bounded = new WeakMap<Promise<SharedReading | null>, Promise<SharedReading | null>>();

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
    event: async (eventId) => (await directory.fresh(eventId)) ?? rejectMissing(eventId),
    look(eventId, userId) {
      const looked = directory.look(eventId, userId, { ask: mayAsk() });
      const asking = looked.reading;
      if (asking === null) return looked;
      let reading = bounded.get(asking);
      if (reading === undefined) {
        reading = inTime(asking).then((answer) =>
          answer === "late" ? null : (answer ?? rejectMissing(eventId)),
        );
        bounded.set(asking, reading);
      }
      return { ...looked, reading };
    },
  };
}

function rejectMissing(eventId: EventId): never {
  throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
}
