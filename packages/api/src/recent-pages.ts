// Pages of the list of events as they were sent lately. Thousands who look at one instant share one
// reading and one text: they must not stand in a line before those who claim.

import type { Result } from "@stampede/domain";
import type { FastifyReply } from "fastify";
import type { Refusal } from "./problems.ts";

type KeptPage = Promise<Result<ReturnType<FastifyReply["serialize"]>, Refusal>>;

export type RecentPages = {
  /** The page of this name, made anew where none was begun within the last 250 ms. */
  readonly of: (name: string, make: () => KeptPage) => KeptPage;
  /** What was committed here is seen by whoever asks from now on. */
  readonly forget: () => void;
};

const KEPT_MS = 250;
/** Some hundred kilobytes each; beyond them pages are made without being kept. */
const PAGES_MAX = 50;

export function recentPages(monotonicMs: () => number): RecentPages {
  const pages = new Map<string, { readonly page: KeptPage; readonly atMs: number }>();
  return {
    async of(name, make) {
      const nowMs = monotonicMs();
      for (const [kept, { atMs }] of pages) if (nowMs - atMs >= KEPT_MS) pages.delete(kept);
      const kept = pages.get(name);
      if (kept !== undefined) return kept.page;
      const page = make();
      if (pages.size < PAGES_MAX) {
        const entry = { page, atMs: nowMs };
        pages.set(name, entry);
        // What could not be read now may be there for the next one.
        page.catch(() => pages.get(name) === entry && pages.delete(name));
      }
      return page;
    },
    forget: () => pages.clear(),
  };
}
