// The form of each line of a saved run. A file may come from anywhere and from any build, so nothing
// in it is believed: what has not the right type would give a verdict about something else.
import type { Attempt, LogRecord, Outcome, Row, SaleEvent } from "./run.ts";

export type Line =
  | { readonly type: "run"; readonly format: string; readonly clockErrorMs?: number | null }
  | ({ readonly type: "event" } & SaleEvent)
  | ({ readonly type: "attempt" } & Attempt)
  | ({ readonly type: "row" } & Row)
  | { readonly type: "log"; readonly eventId: string; readonly records: number }
  | ({ readonly type: "record" } & LogRecord)
  | {
      readonly type: "redis";
      readonly eventId: string;
      readonly finished?: boolean | null;
      readonly latched?: boolean | null;
      readonly counter: number;
      readonly persons: number;
    }
  | { readonly type: "winner"; readonly eventId: string; readonly person: string }
  | { readonly type: "end"; readonly lines: number };

/** What a field may hold: a type of JavaScript, or one of some words; `?` allows null or absence. */
type Form =
  | "string"
  | "number"
  | "boolean"
  | "string?"
  | "number?"
  | "boolean?"
  | readonly string[];

const outcomes: readonly Outcome[] = [
  "issued",
  "replay",
  "sold-out",
  "voided",
  "queued",
  "refused",
  "unknown",
  "none",
];

const forms: Readonly<Record<Line["type"], Readonly<Record<string, Form>>>> = {
  run: { format: "string", clockErrorMs: "number?" },
  event: {
    eventId: "string",
    mechanism: "string",
    limit: "number",
    limitAtStart: "number?",
    issued: "number",
    opensAt: "string?",
    closesAt: "string?",
    decided: "number?",
    lastWinningTicket: "number?",
  },
  attempt: {
    id: "number",
    kind: ["claim", "status"],
    person: "string",
    eventId: "string",
    sentMs: "number",
    returnedMs: "number",
    status: "number?",
    outcome: outcomes,
    seq: "number?",
    code: "string?",
    issuedAt: "string?",
    ticket: "number?",
    ahead: "number?",
    guaranteed: "boolean?",
    ticketAsked: "number?",
  },
  row: {
    eventId: "string",
    seq: "number",
    userId: "string",
    code: "string",
    issuedAt: "string",
    ticket: "number?",
    committedMs: "number?",
  },
  log: { eventId: "string", records: "number" },
  record: { eventId: "string", offset: "number", key: "string?", value: "string?" },
  redis: {
    eventId: "string",
    finished: "boolean?",
    latched: "boolean?",
    counter: "number",
    persons: "number",
  },
  winner: { eventId: "string", person: "string" },
  end: { lines: "number" },
};

/** The line, or what is wrong with it. */
export function checked(value: unknown): Line | string {
  if (typeof value !== "object" || value === null || !("type" in value)) {
    return "it is no object with a type";
  }
  const type = String(value.type);
  if (!isType(type)) return `it has the unknown type "${type}"`;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  for (const [name, form] of Object.entries(forms[type])) {
    const held = fields[name] ?? null;
    if (!fits(held, form)) return `${name} of this ${type} is ${JSON.stringify(held)}`;
  }
  const [sentMs, returnedMs] = [Number(fields["sentMs"]), Number(fields["returnedMs"])];
  if (type === "attempt" && returnedMs < sentMs) {
    return `this attempt was sent at ${sentMs} and returned at ${returnedMs}: that is no one clock`;
  }
  // Every field of the type has just been looked at.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { ...absent(type), ...fields } as Line;
}

function isType(type: string): type is Line["type"] {
  return Object.hasOwn(forms, type);
}

function fits(value: unknown, form: Form): boolean {
  if (typeof form !== "string") return typeof value === "string" && form.includes(value);
  const optional = form.endsWith("?");
  if (value === null) return optional;
  return typeof value === (optional ? form.slice(0, -1) : form);
}

/** Optional fields that a file leaves out are null, as everything else that nobody knows. */
function absent(type: Line["type"]): Readonly<Record<string, null>> {
  const known = nulls.get(type);
  if (known !== undefined) return known;
  const names = Object.entries(forms[type]).filter(([, form]) => String(form).endsWith("?"));
  const made = Object.fromEntries(names.map(([name]) => [name, null]));
  nulls.set(type, made);
  return made;
}

const nulls = new Map<Line["type"], Readonly<Record<string, null>>>();
