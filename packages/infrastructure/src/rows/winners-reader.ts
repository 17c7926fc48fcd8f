// Reads the winners of sold-out events beside everything else: one event at a time and page by page, so
// that nobody waits for ten thousand of them. Until they are there, whoever asks is answered by person.
import type { CouponEvent } from "@stampede/domain";
import type { Postgres } from "../engines/postgres/open.ts";
import { readIssuesAfter } from "./directory-rows.ts";
import type { KeptWinners, Shelf } from "./kept-winners.ts";

export type WinnersShelf = Shelf & {
  readonly known: { readonly event: CouponEvent };
  /** When a question had to go to the database because the winners are not kept; monotonic. */
  winnersMissedAtMs: number;
};

/** An event that nobody asked about for this long is not read any more. */
export const IN_USE_MS = 30_000;
/** Of larger events they are never kept: they would take all of the budget. */
export const WINNERS_KEPT_MAX = 20_000;
/** Winners of one query: about five milliseconds of this process. */
const PAGE = 2_000;
/** Others give way to winners that somebody missed so lately. */
const MISSED_MS_MAX = 500;

export class WinnersReader {
  readonly #postgres: Pick<Postgres, "query" | "time">;
  readonly #kept: KeptWinners;
  #reading = false;

  constructor(postgres: Pick<Postgres, "query" | "time">, kept: KeptWinners) {
    this.#postgres = postgres;
    this.#kept = kept;
  }

  /** Of those for which there is room the one that was used last. Rejects with `EngineFault`. */
  async readNext(shelves: Iterable<WinnersShelf>): Promise<void> {
    if (this.#reading) return;
    const nowMs = this.#postgres.time.nowMs();
    let next: WinnersShelf | null = null;
    for (const shelf of shelves) {
      if (nowMs - shelf.usedAtMs >= IN_USE_MS || !this.#isWanted(shelf, nowMs)) continue;
      if (next === null || shelf.usedAtMs > next.usedAtMs) next = shelf;
    }
    if (next === null) return;
    this.#reading = true;
    try {
      await this.#read(next);
    } finally {
      this.#reading = false;
    }
  }

  #isWanted(shelf: WinnersShelf, nowMs: number): boolean {
    const { known, winners, winnersMissedAtMs } = shelf;
    const { limit, issued } = known.event;
    const missing = limit - winners.size;
    if (issued < limit || missing <= 0 || limit > WINNERS_KEPT_MAX) return false;
    if (this.#kept.fit(shelf, missing)) return true;
    const missed = nowMs - winnersMissedAtMs < MISSED_MS_MAX;
    return missed && this.#kept.canFit(shelf, missing, nowMs);
  }

  async #read(shelf: WinnersShelf): Promise<void> {
    const { id, limit } = shelf.known.event;
    for (let kept = -1; shelf.winners.size > kept && shelf.winners.size < limit;) {
      kept = shelf.winners.size;
      const page = await readIssuesAfter(this.#postgres, id, { seq: kept, count: PAGE });
      this.#kept.add(shelf, page, this.#postgres.time.nowMs());
    }
  }
}
