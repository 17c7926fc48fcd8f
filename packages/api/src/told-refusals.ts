/** Where a shop has set its sign-in up wrongly, everybody is refused: the log says it without being asked. */
export type TellRefusal = (why: string) => void;

const AGAIN_MS = 60_000;
/** Other words for nothing that anybody has set up: tokens end, and strangers send what they like. */
const USUAL = /expired|signature|bearer token/;

/**
 * One line for each reason, a minute apart at least, with how many there were since the line before. The
 * reasons are our own words, so there are few.
 */
export function refusalTeller(
  monotonicMs: () => number,
  say: (refused: number, why: string) => void,
): TellRefusal {
  const told = new Map<string, { atMs: number; since: number }>();
  return (why) => {
    if (USUAL.test(why)) return;
    const nowMs = monotonicMs();
    const before = told.get(why);
    const since = (before?.since ?? 0) + 1;
    const isDue = before === undefined || nowMs - before.atMs >= AGAIN_MS;
    told.set(why, isDue ? { atMs: nowMs, since: 0 } : { atMs: before.atMs, since });
    if (isDue) say(since, why);
  };
}
