/** The engines that this package can run by itself, each the real program. */
export type EngineName = "postgres" | "redis" | "kafka";

/** How a child process ended. Exactly one of the two is not null. */
export type ProcessExit = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
};

/** A child process that is up and answering. */
export type RunningProcess = {
  readonly pid: number;
  /** Resolves once the process is gone, wanted or not, and its data folder is free again. */
  readonly exited: Promise<ProcessExit>;
  /** Ends it in order, by force after a bounded time. Safe to call again and after its death. */
  readonly stop: () => Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type RunningEngine = RunningProcess & {
  readonly name: EngineName;
  /** For DATABASE_URL, REDIS_URL or KAFKA_BROKERS (there it is "host:port"). */
  readonly url: string;
  /** Pass it to the next start to come back at the same address. */
  readonly port: number;
};

export type EngineOptions = {
  /** Holds one folder per engine. Nothing outside it and the cache is written. */
  readonly dataFolder: string;
  /** Exactly this port. Without it: the port of the last start if still free, else a free one. */
  readonly port?: number | undefined;
  /** Where downloads are kept for all data folders; by default `.stampede/engines` at the root. */
  readonly cacheFolder?: string | undefined;
  /** Gets one line of progress at a time. */
  readonly report?: ((line: string) => void) | undefined;
  /** Gives the start up and ends what it had begun. It has no effect on a running engine. */
  readonly signal?: AbortSignal | undefined;
};

export type StartEngine = (options: EngineOptions) => Promise<RunningEngine>;

/** How an engine is called in sentences. */
export const engineTitles = {
  postgres: "PostgreSQL",
  redis: "Redis",
  kafka: "Kafka",
} as const satisfies Record<EngineName, string>;

/** This machine cannot run the engine as it is; `remedy` says what to install. */
export class EngineUnavailable extends Error {
  override readonly name = "EngineUnavailable";
  readonly engine: EngineName;
  readonly reason: string;
  readonly remedy: string;

  constructor(engine: EngineName, facts: { reason: string; remedy: string; cause?: unknown }) {
    super(`${engineTitles[engine]} cannot be started: ${facts.reason} ${facts.remedy}`, {
      cause: facts.cause,
    });
    this.engine = engine;
    this.reason = facts.reason;
    this.remedy = facts.remedy;
  }
}
