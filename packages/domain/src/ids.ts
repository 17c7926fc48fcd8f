declare const brand: unique symbol;

/** The id of a coupon event, `^[a-z0-9][a-z0-9-]{0,62}$`. */
export type EventId = string & { readonly [brand]: "EventId" };

/**
 * A person's id, 1 to 255 visible ASCII characters: what an OpenID provider may call a subject. Compared
 * byte by byte, never normalised.
 */
export type UserId = string & { readonly [brand]: "UserId" };

export const EVENT_ID_PATTERN = "^[a-z0-9][a-z0-9-]{0,62}$";
export const USER_ID_PATTERN = "^[\\x21-\\x7E]{1,255}$";

const eventIdForm = new RegExp(EVENT_ID_PATTERN);
const userIdForm = new RegExp(USER_ID_PATTERN);

/** Null where the text is no event id. */
export function parseEventId(text: string): EventId | null {
  return isEventId(text) ? text : null;
}

/** Null where the text is no user id; it is never trimmed into somebody else's. */
export function parseUserId(text: string): UserId | null {
  return isUserId(text) ? text : null;
}

function isEventId(text: string): text is EventId {
  return eventIdForm.test(text);
}

function isUserId(text: string): text is UserId {
  return userIdForm.test(text);
}
