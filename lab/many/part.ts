// What a part of the table of many sales is.
import type { ManyOptions } from "../compare/options.ts";
import type { ManySales } from "./claims.ts";

export type Options = Omit<ManyOptions, "command"> & {
  readonly out: string;
  /** How many the private programs have: they take it from the same environment. */
  readonly workers: string;
};

/** Runs one line of the table. */
export type Measure = (what: string, aim: string, run: () => Promise<string>) => Promise<void>;

export type Part = (
  sales: ManySales,
  measure: Measure,
  options: Options & { readonly cleanups: AsyncDisposableStack },
) => Promise<void>;
