import { hashText } from "./random.ts";

/** What happened, in order, as one number: two runs of a seed must have the same. */
export class Trace {
  /** Every line, where somebody wants to read it (`npm run simulate -- --trace`). */
  readonly lines: string[] | null;
  #hash = 0;

  constructor(keep: boolean) {
    this.lines = keep ? [] : null;
  }

  note(atMs: number, what: string): void {
    const line = `${atMs.toFixed(3)} ${what}`;
    this.#hash = hashText(line, this.#hash);
    this.lines?.push(line);
  }

  hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }
}
