// The business bounds of the contract. Sizes of queues, pools and batches belong to the adapters.

/** Coupons of one event. */
export const COUPONS_MAX = 1_000_000;

/** Tickets decided per second, where an operator sets a pace. */
export const PACE_PER_SECOND_MAX = 1_000_000;

/** Characters (code points) of an event's name. */
export const NAME_CHARACTERS_MAX = 100;

/** Entries of one page of a list. */
export const PAGE_SIZE_MAX = 500;

/** 2^53 - 1: the greatest ticket, cursor or version that JSON carries exactly. */
export const WHOLE_NUMBER_MAX = Number.MAX_SAFE_INTEGER;

/** The last instant that RFC 3339 can write with four digits of year, in epoch milliseconds. */
export const TIME_MS_MAX = 253_402_300_799_999;
