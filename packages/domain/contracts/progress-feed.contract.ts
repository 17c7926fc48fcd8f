import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { describe, test } from "node:test";
import type { EventId } from "../src/ids.ts";
import { parseEventId, parseUserId } from "../src/ids.ts";
import type { Progress } from "../src/model/progress.ts";
import type { CouponIssuer, EventStore, ProgressFeed } from "../src/ports.ts";
import { ok } from "../src/result.ts";
import { settle } from "./settle.ts";
import { until } from "./until.ts";

/** Makes an open event with two coupons and cleans up by `t.after`. */
export type OpenFeed = (t: TestContext) => Promise<{
  readonly feed: ProgressFeed;
  readonly issuer: CouponIssuer;
  readonly store: EventStore;
  readonly eventId: EventId;
}>;

/** What every progress feed must do. */
export function progressFeedContract(name: string, open: OpenFeed): void {
  describe(`ProgressFeed contract: ${name}`, () => {
    test("tells the newest progress at once", async (t) => {
      const { feed, eventId } = await open(t);
      const frames: Progress[] = [];
      const stop = await feed.watch(eventId, (progress) => frames.push(progress));
      t.after(() => stop?.());
      assert.equal(frames[0]?.state, "open");
      assert.equal(frames[0].remaining, 2);
    });

    test("tells every watcher the end, with ids that only grow", async (t) => {
      const { feed, issuer, eventId } = await open(t);
      const watchers: Progress[][] = [[], [], []];
      for (const frames of watchers) {
        const stop = await feed.watch(eventId, (progress) => frames.push(progress));
        t.after(() => stop?.());
      }
      await settle(issuer, eventId, person("ana"));
      await settle(issuer, eventId, person("bo"));
      for (const frames of watchers) {
        await until(() => frames.at(-1)?.state === "sold-out", "every watcher is told the end");
        const ids = frames.map((frame) => frame.id);
        assert.deepEqual(
          ids,
          [...new Set(ids)].sort((a, b) => a - b),
        );
        assert.equal(frames.at(-1)?.issued, 2);
        assert.equal(frames.at(-1)?.remaining, 0);
      }
    });

    test("tells an operator's change", async (t) => {
      const { feed, store, eventId } = await open(t);
      const frames: Progress[] = [];
      const stop = await feed.watch(eventId, (progress) => frames.push(progress));
      t.after(() => stop?.());
      await store.change(eventId, 1, (event) => ok({ ...event, limit: 5, version: 2 }));
      await until(() => frames.at(-1)?.remaining === 5, "the change is told");
    });

    test("tells nothing after the watch was stopped", async (t) => {
      const { feed, issuer, eventId } = await open(t);
      const stopped: Progress[] = [];
      const watching: Progress[] = [];
      const stop = await feed.watch(eventId, (progress) => stopped.push(progress));
      const stopLater = await feed.watch(eventId, (progress) => watching.push(progress));
      t.after(() => stopLater?.());
      stop?.();
      const before = stopped.length;
      await settle(issuer, eventId, person("ana"));
      await until(() => watching.at(-1)?.issued === 1, "the other watcher is told");
      assert.equal(stopped.length, before);
    });

    test("watches no event that does not exist", async (t) => {
      const { feed } = await open(t);
      const nowhere = parseEventId("nowhere");
      assert.ok(nowhere !== null);
      assert.equal(await feed.watch(nowhere, () => assert.fail("no frame")), null);
    });
  });
}

function person(text: string): NonNullable<ReturnType<typeof parseUserId>> {
  const userId = parseUserId(text);
  assert.ok(userId !== null);
  return userId;
}
