/** How fast a counter that only grows has grown lately. */
export type RateMeter = {
  note(value: number, nowMs: number): void;
  /** Growth per second over the last three seconds; 0 while there is nothing to tell from. */
  perSecond(nowMs: number): number;
  /** Growth per second in each of the last ten seconds that saw any, for an estimate. */
  recent(nowMs: number): readonly number[];
};

const WINDOW_MS = 3_000;
const SECONDS_KEPT = 10;

export function rateMeter(): RateMeter {
  // One entry a second: the first value seen in it. Eleven bound ten whole seconds.
  let marks: { readonly second: number; readonly atMs: number; readonly value: number }[] = [];
  let last: { readonly atMs: number; readonly value: number } | null = null;
  return {
    note(value, nowMs) {
      const second = Math.floor(nowMs / 1_000);
      if (last === null || marks.at(-1)?.second !== second) {
        marks = [...marks, { second, atMs: nowMs, value: last?.value ?? value }].slice(
          -SECONDS_KEPT - 1,
        );
      }
      last = { atMs: nowMs, value };
    },
    perSecond(nowMs) {
      const from = marks.find((mark) => mark.atMs >= nowMs - WINDOW_MS);
      if (from === undefined || last === null || last.value === from.value) return 0;
      return Math.round(((last.value - from.value) * 1_000) / Math.max(nowMs - from.atMs, 250));
    },
    recent(nowMs) {
      const rates: number[] = [];
      marks.forEach((mark, index) => {
        if (mark.atMs < nowMs - SECONDS_KEPT * 1_000) return;
        const next = marks[index + 1] ?? last;
        if (next === null || next.atMs - mark.atMs < 250) return;
        rates.push(((next.value - mark.value) * 1_000) / (next.atMs - mark.atMs));
      });
      return rates.filter((rate) => rate > 0);
    },
  };
}
