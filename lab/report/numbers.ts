// How figures are written: thousands separators, and no more digits than a shared machine's spread
// leaves meaning to.

/** What a value is, and so how it is written. */
export type Kind = "amount" | "count" | "ratio" | "share";

export function written(value: number, kind: Kind): string {
  switch (kind) {
    case "amount":
      return amount(value);
    case "count":
      return count(value);
    case "ratio":
      return ratio(value);
    case "share":
      return share(value);
  }
}

/** Measured: three significant digits. */
export function amount(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** Counted: whole. */
export function count(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 0 });
}

/** A time of a claim: 0.4 ms, 12 ms. */
export function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

/** How many times as much: 0.018, 0.87, 1.03, 7.8, 13. */
export function ratio(value: number): string {
  if (value < 0.1) return value.toLocaleString("en", { maximumSignificantDigits: 2 });
  const digits = value < 2 ? 2 : value < 10 ? 1 : 0;
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString("en", options);
}

/** A share of 1, in per cent: 0.31 %, 6.0 %, 61 %, 104 %. */
export function share(value: number): string {
  // 1.05 - 1 - 0.05 is not quite 0 to a computer.
  const percent = Math.abs(value) < 1e-9 ? 0 : value * 100;
  const whole = percent === 0 || percent >= 10;
  const options = { minimumSignificantDigits: 2, maximumSignificantDigits: 2 };
  return `${whole ? count(percent) : percent.toLocaleString("en", options)} %`;
}

/** "7.2–8.3", or one number where both ends read the same. */
export function range(low: string, high: string): string {
  return low === high ? low : `${low}–${high}`;
}
