import type { Invariant } from "./promises.ts";

/** The six conditions of the order rule, see order.ts. */
export type OrderCondition = 1 | 2 | 3 | 4 | 5 | 6;

/** One thing that must not be, and who and what shows it. */
export type Finding = {
  /** The promise that is broken, by its id. */
  readonly invariant: Invariant;
  /** Which condition of the order rule it breaks; null where it breaks none. */
  readonly condition: OrderCondition | null;
  readonly eventId: string;
  readonly persons: readonly string[];
  /** Ids of the attempts that show it. */
  readonly attempts: readonly number[];
  readonly detail: string;
};

/** What a check says of its event; `judge` adds which event it is. */
export type Objection = Omit<Finding, "eventId">;

/** What an objection rests on. */
type Shown = {
  readonly condition?: OrderCondition;
  readonly persons?: readonly string[];
  readonly attempts?: readonly ({ readonly id: number } | null)[];
};

/** Puts an objection together from what there is. */
export function objection(invariant: Invariant, detail: string, shown: Shown = {}): Objection {
  const attempts: number[] = [];
  for (const attempt of shown.attempts ?? []) if (attempt !== null) attempts.push(attempt.id);
  return {
    invariant,
    condition: shown.condition ?? null,
    persons: shown.persons ?? [],
    attempts,
    detail,
  };
}
