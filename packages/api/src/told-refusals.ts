import { everyMinute } from "./every-minute.ts";

/** Where a shop has set its sign-in up wrongly, everybody is refused: the log says it without being asked. */
export type TellRefusal = (why: string) => void;

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
  const refusedOf = everyMinute(monotonicMs);
  return (why) => {
    if (USUAL.test(why)) return;
    const refused = refusedOf(why);
    if (refused !== null) say(refused, why);
  };
}
