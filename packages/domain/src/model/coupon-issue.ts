import { invariant } from "../invariant.ts";
import type { EventId, UserId } from "../ids.ts";

/** The durable record that a person got coupon number `seq` of an event. It never changes. */
export type CouponIssue = {
  readonly eventId: EventId;
  readonly userId: UserId;
  /** 1 to the event's limit, without gaps. */
  readonly seq: number;
  /** 26 characters of Crockford's base 32 (130 bits). */
  readonly code: string;
  /** Epoch milliseconds by the database's clock. */
  readonly issuedAtMs: number;
  /** The winning record's offset where people queue. */
  readonly ticket: number | null;
};

export const CODE_PATTERN = "^[0-9A-HJKMNP-TV-Z]{26}$";

const CODE_LENGTH = 26;
/** Used again for each code: ten thousand are drawn at once. */
const characters: number[] = [];
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * A coupon code from at least 26 random bytes: five bits of each make one character of Crockford's
 * base 32, which leaves out I, L, O and U, so that a code can be read aloud and typed.
 */
export function codeFromRandom(random: Uint8Array): string {
  invariant(random.length >= CODE_LENGTH, "a code is drawn from 26 random bytes");
  for (let place = 0; place < CODE_LENGTH; place += 1) {
    // A place that is missing cannot be: the length was checked.
    characters[place] = CROCKFORD.charCodeAt(Number(random[place]) & 31);
  }
  return String.fromCharCode(...characters);
}
