/** One line of what `--check` tells of an engine. */
export type Finding = {
  readonly engine: "postgres" | "redis" | "kafka";
  /** What was looked at: "version", "sign-in", "time limits". */
  readonly what: string;
  /** What was found, in the engine's own words where it has some. */
  readonly found: string;
  /** Refused: the service does not run on it so; a warning costs something that the advice names. */
  readonly verdict: "right" | "warning" | "refused";
  /** What to change; empty where it is right. */
  readonly advice: string;
};
