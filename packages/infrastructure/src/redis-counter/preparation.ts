import { EngineFault } from "@stampede/domain";
import type { EventPreparation } from "../rows/event-store.ts";
import type { Generations } from "./generations.ts";
import type { Redis } from "../engines/redis/open.ts";

/** What an event of this mechanism needs beside its row: a generation by which Redis counts. */
export function redisCounterPreparation(options: {
  readonly redis: Redis;
  readonly generations: Generations;
  readonly drawToken: () => string;
}): EventPreparation {
  return {
    async prepare(event) {
      // Asked before anything exists: with Redis away nothing is made, and the operator may repeat.
      await ping(options.redis);
      const generation = options.drawToken();
      return {
        async record(sql) {
          await sql.query("INSERT INTO redis_generations (event_id, generation) VALUES ($1, $2)", [
            event.id,
            generation,
          ]);
        },
        async finish() {
          try {
            await options.generations.beginCounting(event.id, generation);
          } catch (error) {
            // The event is committed: claims or the reconciler make Redis count.
            throw error instanceof EngineFault ? madeButNotCounting(error) : error;
          }
        },
      };
    },
  };
}

async function ping(redis: Redis): Promise<void> {
  try {
    await redis.session().send("PING");
  } catch (error) {
    // A lost answer to a question leaves nothing behind.
    throw error instanceof EngineFault ? withOutcome(error, "not-applied", error.message) : error;
  }
}

function madeButNotCounting(error: EngineFault): EngineFault {
  return withOutcome(
    error,
    "unknown",
    `the event exists and takes no claims yet: ${error.message}`,
  );
}

function withOutcome(
  cause: EngineFault,
  outcome: EngineFault["outcome"],
  message: string,
): EngineFault {
  return new EngineFault(cause.engine, outcome, message, { cause });
}
