import type { EventId, UserId } from "@stampede/domain";
import { CODE_PATTERN, parseEventId, parseUserId } from "@stampede/domain";

/** What a record of an event's log says. */
export type ClaimRecord = {
  readonly eventId: EventId;
  readonly userId: UserId;
};

export type DecodedClaim =
  | { readonly kind: "claim"; readonly claim: ClaimRecord }
  /** Not a claim, and never will be: it is decided as rejected, with this reason. */
  | { readonly kind: "unreadable"; readonly reason: string }
  /** Written by a newer build: to guess at it would decide wrongly, so the event must stop. */
  | { readonly kind: "newer-schema"; readonly schema: number };

/**
 * The record of a claim: the key names the person, the value is one of these schemas. It holds no code:
 * whoever reads the log, or writes to it, has no part in a coupon.
 */
const SCHEMAS = {
  /** A record brought its code. It is read as it was then, and its code is worth nothing. */
  withCode: 1,
  /** The person's id is of the short alphabet that builds knew until then. */
  shortIds: 2,
  /** Any id. To a build that does not know such persons it is newer: it stops instead of passing them by. */
  anyId: 3,
} as const;

/** A claim of ours has at most 639 bytes. */
const VALUE_BYTES_MAX = 1_024;
const KEY_BYTES_MAX = 255;

const codeForm = new RegExp(CODE_PATTERN);
const shortIdForm = /^[A-Za-z0-9._~@-]{1,64}$/;
const escapedInJson = /["\\]/;

/** A claim's record as text; every field has passed a pattern, so all of it is ASCII. */
export function claimParts({ eventId, userId }: ClaimRecord): {
  readonly key: string;
  readonly value: string;
} {
  // Of what a field can hold, JSON escapes a quote and a backslash alone. Where there is none, joining is
  // JSON, in half the time of JSON.stringify, once for each of ten thousand people.
  const isShort = shortIdForm.test(userId);
  const schema = isShort ? SCHEMAS.shortIds : SCHEMAS.anyId;
  const person = isShort || !escapedInJson.test(userId) ? `"${userId}"` : JSON.stringify(userId);
  return {
    key: userId,
    value: `{"schema":${schema},"eventId":"${eventId}","userId":${person}}`,
  };
}

/** Reads a record of the log of `eventId`, which anybody may have written. Never throws. */
export function decodeClaim(
  eventId: EventId,
  record: { readonly key: Buffer | null; readonly value: Buffer | null },
): DecodedClaim {
  const { key, value } = record;
  const own = decodeOwn(eventId, record);
  if (own !== null) return { kind: "claim", claim: own };
  if (value === null) return unreadableClaim("the value is null");
  if (value.length > VALUE_BYTES_MAX) return unreadableClaim(`the value has ${value.length} bytes`);
  const body = parseObject(value);
  if (body === null) return unreadableClaim("the value is no JSON object");
  const schema = body["schema"];
  if (typeof schema !== "number" || !Number.isSafeInteger(schema) || schema < 1) {
    return unreadableClaim("the schema number is missing");
  }
  if (schema > SCHEMAS.anyId) return { kind: "newer-schema", schema };
  return decodeFields(eventId, key, { ...body, schema });
}

/**
 * A claim just as `claimParts` writes it, which nearly all are: to write it again and compare takes less
 * than half the time of parsing it. Null: it is anything else, and parsing tells what.
 */
function decodeOwn(
  eventId: EventId,
  { key, value }: { readonly key: Buffer | null; readonly value: Buffer | null },
): ClaimRecord | null {
  if (key === null || value === null || key.length > KEY_BYTES_MAX) return null;
  const userId = parseUserId(key.toString("latin1"));
  if (userId === null) return null;
  const claim = { eventId, userId };
  return value.toString("latin1") === claimParts(claim).value ? claim : null;
}

function decodeFields(
  eventId: EventId,
  key: Buffer | null,
  body: Readonly<Record<string, unknown>> & { readonly schema: number },
): DecodedClaim {
  const userId = typeof body["userId"] === "string" ? parseUserId(body["userId"]) : null;
  const named = typeof body["eventId"] === "string" ? parseEventId(body["eventId"]) : null;
  if (named === null) return unreadableClaim("the event id has no valid form");
  if (named !== eventId) return unreadableClaim("the claim is another event's");
  // By a build that wrote such a record, another id was none: it must be decided as it was then.
  const isKnown = body.schema >= SCHEMAS.anyId || (userId !== null && shortIdForm.test(userId));
  if (userId === null || !isKnown) return unreadableClaim("the user id has no valid form");
  if (key === null || key.length > KEY_BYTES_MAX || key.toString("latin1") !== userId) {
    return unreadableClaim("the key names another person than the value");
  }
  if (body.schema === SCHEMAS.withCode && !hasCode(body)) {
    return unreadableClaim("the code has no valid form");
  }
  return { kind: "claim", claim: { eventId, userId } };
}

function hasCode(body: Readonly<Record<string, unknown>>): boolean {
  const code = body["code"];
  return typeof code === "string" && codeForm.test(code);
}

function unreadableClaim(reason: string): DecodedClaim {
  return { kind: "unreadable", reason };
}

function parseObject(value: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(value.toString("utf8"));
    return isObject(parsed) ? parsed : null;
  } catch {
    // Anything may stand in the log; what is no JSON is no claim.
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
