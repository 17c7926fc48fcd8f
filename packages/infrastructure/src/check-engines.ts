// What --check looks at: each engine that this program is given, all at once, none for ever.
import type { Engine } from "@stampede/domain";
import type { Finding } from "./engines/finding.ts";
import { checkKafka } from "./engines/kafka/check.ts";
import { checkPostgres } from "./engines/postgres/check.ts";
import { checkRedis } from "./engines/redis/check.ts";
import { systemTime } from "./engines/time.ts";
import { connectionsMaxOf } from "./foundation.ts";
import type { FoundationOptions } from "./foundation.ts";
import { checkSchema } from "./rows/check-schema.ts";

export type CheckOptions = Pick<
  FoundationOptions,
  "databaseUrl" | "poolSizes" | "redisUrl" | "redisTls" | "kafkaBrokers" | "kafkaAccess" | "role"
> & { readonly workers: number };

type Check = (options: CheckOptions) => Promise<readonly Finding[]> | null;

/** One line for each engine; null where it is off. */
const CHECKS: Readonly<Record<Engine, Check>> = {
  postgres: async (options) => checkPostgresWith(options),
  redis: ({ redisUrl: url, redisTls: tls }) =>
    url === null ? null : checkRedis({ url, tls, time: systemTime }),
  kafka: ({ kafkaBrokers: brokers, kafkaAccess: access }) =>
    brokers === null ? null : checkKafka({ brokers, access }),
};

const ENGINES: readonly Engine[] = ["postgres", "redis", "kafka"];
const OFF = {
  postgres: "off",
  redis: "off: REDIS_URL is not set, so there is no v2",
  kafka: "off: KAFKA_BROKERS is not set, so there is no v3",
} as const;

/** Never rejects, and takes no longer than `msMax`. */
export async function checkEngines(
  options: CheckOptions,
  msMax = 20_000,
): Promise<readonly Finding[]> {
  const all = await Promise.all(ENGINES.map(async (engine) => checkOne(engine, options, msMax)));
  return all.flat();
}

async function checkOne(
  engine: Engine,
  options: CheckOptions,
  msMax: number,
): Promise<readonly Finding[]> {
  const check = CHECKS[engine](options);
  if (check === null) {
    return [{ engine, what: "use", found: OFF[engine], verdict: "right", advice: "" }];
  }
  const late = Promise.withResolvers<readonly Finding[]>();
  const timer = setTimeout(() => late.resolve([tooLate(engine, msMax)]), msMax);
  try {
    return await Promise.race([check, late.promise]);
  } catch (error) {
    return [{ engine, what: "use", found: String(error), verdict: "refused", advice: "" }];
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(engine: Engine, msMax: number): Finding {
  return {
    engine,
    what: "use",
    found: `no answer to all questions within ${msMax / 1_000} s`,
    verdict: "refused",
    advice: "A firewall may drop what is sent, or the engine hangs.",
  };
}

async function checkPostgresWith(options: CheckOptions): Promise<readonly Finding[]> {
  const { databaseUrl: url, poolSizes, role, workers } = options;
  const connectionsMax = connectionsMaxOf(role, poolSizes) * workers;
  const findings = await checkPostgres({ url, connectionsMax });
  if (findings.some(({ verdict }) => verdict === "refused")) return findings;
  return [...findings, await checkSchema(url)];
}
