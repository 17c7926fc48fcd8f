// The codes of an event's coupons. A person's code follows from the event's secret key, so whoever
// decides a log again gives the same codes, a record of the log has none, and only winners cost one.
import { createHmac } from "node:crypto";
import { codeFromRandom } from "@stampede/domain";
import type { EventId, UserId } from "@stampede/domain";

export type CouponCodes = {
  readonly of: (userId: UserId) => string;
  /**
   * Gives those of these persons whose code is some other coupon's the next one that is free. A row
   * that somebody wrote by hand brings that about, and nothing else: codes have 130 bits.
   */
  readonly pass: (
    userIds: readonly UserId[],
    readHeld: (codes: readonly string[]) => Promise<ReadonlySet<string>>,
  ) => Promise<void>;
};

export function couponCodes(codeKey: string, eventId: EventId): CouponCodes {
  const passed = new Map<UserId, number>();
  const codeOf = (userId: UserId): string => {
    const held = passed.get(userId) ?? 0;
    // No id has a space in it, so no two of these texts are the same.
    const text = held === 0 ? `${eventId} ${userId}` : `${eventId} ${userId} ${held}`;
    return codeFromRandom(createHmac("sha256", codeKey).update(text).digest());
  };
  return {
    of: codeOf,
    async pass(userIds, readHeld) {
      let left = userIds;
      while (left.length > 0) {
        const held = await readHeld(left.map(codeOf));
        left = left.filter((userId) => held.has(codeOf(userId)));
        for (const userId of left) passed.set(userId, (passed.get(userId) ?? 0) + 1);
      }
    },
  };
}
