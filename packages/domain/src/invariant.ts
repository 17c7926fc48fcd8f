/** Our own mistake, never a caller's: what must hold did not hold. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

/** Stops on our own mistake. `promise` is the sentence that should have been true. */
export function invariant(condition: boolean, promise: string): asserts condition {
  if (!condition) throw new InvariantViolation(`violated: ${promise}`);
}
