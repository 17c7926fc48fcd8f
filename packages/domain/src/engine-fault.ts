export type Engine = "postgres" | "redis" | "kafka";

/** "off": this process was started without it. */
export type EngineState = "up" | "down" | "off";

/**
 * Whether what was asked for has happened: "not-applied" is certain that it has not, "unknown" is
 * certain of nothing. A write that was sent and not acknowledged is always "unknown".
 */
export type FaultOutcome = "not-applied" | "unknown";

/** An engine failed. Refusals of the rules are values; this is what no rule foresees. */
export class EngineFault extends Error {
  override readonly name = "EngineFault";
  readonly engine: Engine;
  readonly outcome: FaultOutcome;
  /** When asking again is worth it. */
  readonly retryAfterMs: number;

  constructor(
    engine: Engine,
    outcome: FaultOutcome,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.engine = engine;
    this.outcome = outcome;
    this.retryAfterMs = options.retryAfterMs ?? 1_000;
  }
}
