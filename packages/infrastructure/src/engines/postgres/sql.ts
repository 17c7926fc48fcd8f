import type pg from "pg";

/** Runs one SQL text with `$1` parameters; every text is a constant, so it is prepared once. */
export type Sql = {
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
};
