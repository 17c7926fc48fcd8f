import { EngineFault } from "@stampede/domain";
import type { FaultOutcome } from "@stampede/domain";

/**
 * Wraps what the driver threw. `lostOutcome` is the outcome where no answer came; an answer of the
 * classes 23 (a constraint) and 40 (rolled back) is certain that nothing was applied, also to COMMIT.
 */
export function postgresFault(error: unknown, lostOutcome: FaultOutcome): EngineFault {
  if (error instanceof EngineFault) return error;
  const state = sqlState(error);
  const rolledBack = state !== null && /^(23|40)/.test(state);
  const outcome = rolledBack ? "not-applied" : lostOutcome;
  const reason = postgresWords(error);
  const message =
    state === null ? `PostgreSQL did not answer: ${reason}` : `PostgreSQL refused: ${reason}`;
  return new EngineFault("postgres", outcome, message, { cause: error });
}

/** Of a host with several addresses Node tells what became of each, and nothing of all together. */
export function postgresWords(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") {
    return error.errors.map(postgresWords).join(", ");
  }
  return error instanceof Error ? error.message : String(error);
}

/** The five characters by which PostgreSQL names an error; null where it did not answer at all. */
export function sqlState(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  const { code } = error;
  // Node's own codes (ECONNRESET) are longer or no SQLSTATE; only a server's answer has a severity.
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && "severity" in error
    ? code
    : null;
}

/** A serialization failure or a deadlock: the whole transaction may run again. */
export function isRetryable(error: unknown): boolean {
  if (!(error instanceof EngineFault)) return false;
  const state = sqlState(error.cause);
  return state === "40001" || state === "40P01";
}

/** The server says goodbye with its answer, or is not there at all: nothing more comes on this session. */
export function isGoodbye(error: unknown): boolean {
  if (!(error instanceof EngineFault)) return false;
  const state = sqlState(error.cause);
  return state === null || /^(?:08...|57P0[1-5]|25P03|53300)$/.test(state);
}

/** Whether the server answered that it only reads: it is not the primary any more. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof EngineFault && sqlState(error.cause) === "25006";
}

/** Whether the server refused the data itself (classes 22 and 23), and so applied nothing of them. */
export function isRefusedData(error: unknown): boolean {
  if (!(error instanceof EngineFault) || error.outcome === "unknown") return false;
  return /^2[23]/.test(sqlState(error.cause) ?? "");
}
