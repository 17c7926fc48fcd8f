// What the schemas cannot say about a request's form. Every refusal names the field, never its content.
import type { PageRequest, Result, TimeFault } from "@stampede/domain";
import { ok, PAGE_SIZE_MAX, parseTime, refuse } from "@stampede/domain";
import type { FastifyBodyParser, FastifyInstance, FastifyRequest } from "fastify";
import type { EdgeRefusal } from "../problems.ts";

const PAGE_SIZE_DEFAULT = 50;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What is wrong with a body, in words for whoever sent it. */
export class BadBody extends Error {
  override readonly name = "BadBody";
  readonly statusCode = 400;
}

/**
 * Parses JSON of valid UTF-8 only: the framework's own parser takes half a character for U+FFFD and
 * would store that. `__proto__` and `constructor.prototype` are refused as by its own, and so is a field
 * that is named twice: of two limits nobody knows which was meant.
 */
export function strictJson(app: FastifyInstance): FastifyBodyParser<Buffer> {
  const parse = app.getDefaultJsonParser("error", "error");
  return (request, body, done) => {
    if (!isJson(request.headers["content-type"])) {
      done(Object.assign(new Error("another charset"), { statusCode: 415 }));
      return;
    }
    let text: string;
    try {
      text = utf8.decode(body);
    } catch {
      // Whatever the decoder says of it tells the caller nothing.
      done(new BadBody("The body is not UTF-8."));
      return;
    }
    void parse(request, text, (error, value) => {
      if (error !== null) done(new BadBody(text === "" ? "The body is empty." : NO_PLAIN_JSON));
      else if (namesTwice(text)) done(new BadBody("The body names a field twice."));
      else done(null, value);
    });
  };
}

const NO_PLAIN_JSON = "The body is not JSON, or names __proto__ or constructor.prototype.";

/** Whether a field is named twice anywhere in a text that is JSON. */
function namesTwice(text: string): boolean {
  const open: Set<unknown>[] = [];
  for (const [token, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "}") open.pop();
    else if (colon !== undefined) {
      const name: unknown = JSON.parse(token.slice(0, -colon.length));
      const names = open.at(-1);
      if (names?.has(name) === true) return true;
      names?.add(name);
    }
  }
  return false;
}

/** A claim's body is nothing or `{}`. Null where it is. */
export function refuseClaimBody({ headers, body }: FastifyRequest): EdgeRefusal | null {
  if (!Buffer.isBuffer(body) || body.length === 0) return null;
  if (headers["content-encoding"] !== undefined || !isJson(headers["content-type"])) {
    return { kind: "unsupported-media-type" };
  }
  return isEmptyObject(body) ? null : invalid("The body of a claim must be empty or {}.");
}

/** JSON, in UTF-8 where a charset is named. */
function isJson(contentType = ""): boolean {
  const charset = /;\s*charset\s*=\s*"?(?<name>[^";\s]*)/i.exec(contentType)?.groups?.["name"];
  return /^application\/json\s*(;|$)/i.test(contentType) && /^utf-?8$/i.test(charset ?? "utf-8");
}

function isEmptyObject(body: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(utf8.decode(body));
    return value !== null && isNothing(value);
  } catch {
    // No JSON, or no UTF-8: whatever the parser says of it would echo the input.
    return false;
  }
}

/** No body, or `{}`. */
export function isNothing(body: unknown): boolean {
  if (body === undefined || body === null) return true;
  return typeof body === "object" && !Array.isArray(body) && Object.keys(body).length === 0;
}

/** A whole number of at most 2^53 - 1 in a query; null where it is absent. */
export function wholeNumber(
  field: string,
  text: string | undefined,
): Result<number | null, EdgeRefusal> {
  if (text === undefined) return ok(null);
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value)
    ? ok(value)
    : refuse(invalid(`${field} must be a whole number`));
}

export function pageRequest(
  query: { readonly limit?: string; readonly cursor?: string },
  sizeDefault = PAGE_SIZE_DEFAULT,
): Result<PageRequest, EdgeRefusal> {
  const limit = wholeNumber("limit", query.limit);
  if (!limit.ok) return limit;
  const size = limit.value ?? sizeDefault;
  if (size < 1 || size > PAGE_SIZE_MAX) {
    return refuse(invalid(`limit must be from 1 to ${PAGE_SIZE_MAX}`));
  }
  return ok({ size, cursor: query.cursor ?? null });
}

const TIME_FAULTS: Readonly<Record<TimeFault, string>> = {
  "lower-case": "must have its T and Z in capital letters",
  "no-zone": "has no zone: add Z for UTC, or an offset such as +09:00",
  "no-offset-minutes": "has an offset without minutes: write it as +09:00",
  "no-seconds": "has no seconds",
  "no-time-of-day": "has no time of day",
  "no-such-day": "names a day that there is not",
  "no-such-time": "names a time of day that there is not",
  "no-such-offset": "has an offset that there is not",
  "hour-24": "names the hour 24: write 00:00:00 of the next day",
  "leap-second":
    "names a leap second, which no clock here shows: write second 59, or the next minute",
  "out-of-range": "must be a time from 1970 to 9999",
  other: "must be a time such as 2026-12-01T09:00:00+09:00",
};

/** Epoch milliseconds of an RFC 3339 time; absent and null stay what they are. */
export function timeMs<Absent extends null | undefined>(
  field: string,
  text: string | Absent,
): Result<number | Absent, EdgeRefusal> {
  if (typeof text !== "string") return ok(text);
  const time = parseTime(text);
  return time.ok ? time : refuse(invalid(`${field} ${TIME_FAULTS[time.refusal]}`));
}

/** What else If-Match is sent as, each with what is wrong with it. Proxies that compress weaken tags. */
const WRONG_TAGS: readonly (readonly [form: RegExp, what: string])[] = [
  [/^$/, "is empty"],
  [/^\*$/, "is *, which is any version"],
  [/,/, "names several versions"],
  [/^W\//i, "is a weak tag: leave out W/"],
  [/^[1-9]\d*$/, "has no quotes (a shell takes them away)"],
  [/^/, "is no tag that this service gave"],
];

/** The version of a strong entity tag of ours. Read again, another form would be as wrong as before. */
export function versionOfTag(tag: string): Result<number, EdgeRefusal> {
  const digits = /^"([1-9]\d{0,15})"$/.exec(tag)?.[1];
  if (digits !== undefined) return ok(Number(digits));
  const [, what = ""] = WRONG_TAGS.find(([form]) => form.test(tag)) ?? [];
  const detail = `If-Match ${what}. Send the event's ETag with its quotes, as in If-Match: "3".`;
  return refuse({ kind: "stale-version", detail });
}

export function invalid(detail: string): EdgeRefusal {
  return { kind: "invalid-request", detail };
}
