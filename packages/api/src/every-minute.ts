const TOLD_EVERY_MS = 60_000;
/** Words that are remembered: an error's text may hold an address or a number. */
const WORDS_MAX = 200;

/**
 * For lines of the log that many causes ask for: how often these words came since they were last told, and
 * null where that was less than a minute ago.
 */
export function everyMinute(nowMs: () => number): (words: string) => number | null {
  const known = new Map<string, { toldAtMs: number; since: number }>();
  return (words) => {
    const before = known.get(words) ?? { toldAtMs: -Infinity, since: 0 };
    before.since += 1;
    if (known.size >= WORDS_MAX) known.clear();
    known.set(words, before);
    if (nowMs() - before.toldAtMs < TOLD_EVERY_MS) return null;
    const { since } = before;
    before.toldAtMs = nowMs();
    before.since = 0;
    return since;
  };
}
