import type { EngineFault } from "@stampede/domain";
import type { Finding } from "../finding.ts";
import type { Time } from "../time.ts";
import { unusable } from "./reasons.ts";

/** A Redis that was used for so long is used again: what comes back sooner is the same trouble still. */
const STEADY_MS = 5_000;

export type RedisNewsOptions = {
  readonly time: Time;
  /** Told why Redis is not used, once until that changes. */
  readonly onRefused?: (error: Error) => void;
  /** Told what is worth knowing of a Redis that is used, once. */
  readonly onWarning?: (message: string) => void;
};

/** Says what was found of a Redis, and what keeps it from being used, when that changes. */
export class RedisNews {
  readonly #options: RedisNewsOptions;
  readonly #warned = new Set<string>();
  #refusal: string | null = null;
  #refusedMs = 0;

  constructor(options: RedisNewsOptions) {
    this.#options = options;
  }

  /** All that one look has found. */
  note(findings: readonly Finding[]): void {
    const refused = findings.filter(({ verdict }) => verdict === "refused");
    if (refused.length > 0) return this.#refused(sentenceOf(refused));
    for (const finding of findings) if (finding.verdict === "warning") this.#warn(finding);
    const isSteady = this.#options.time.nowMs() - this.#refusedMs >= STEADY_MS;
    if (this.#refusal === null || !isSteady) return;
    this.#refusal = null;
    this.#options.onWarning?.("Redis is used again");
  }

  /** It was not even reached, or did not let us in. */
  notReached(error: EngineFault): void {
    // Without a cause it is what a look has found, and told already.
    if (error.cause !== undefined) this.note([unusable(error)]);
  }

  #refused(sentence: string): void {
    this.#refusedMs = this.#options.time.nowMs();
    if (sentence === this.#refusal) return;
    this.#refusal = sentence;
    this.#options.onRefused?.(new Error(`Redis is not used. ${sentence}`));
  }

  #warn(finding: Finding): void {
    const sentence = sentenceOf([finding]);
    if (this.#warned.has(sentence)) return;
    this.#warned.add(sentence);
    this.#options.onWarning?.(sentence);
  }
}

/** What was found and what to do about it, of all of them. */
export function sentenceOf(findings: readonly Finding[]): string {
  return findings.map(({ found, advice }) => `${found}: ${advice}`).join("; ");
}
