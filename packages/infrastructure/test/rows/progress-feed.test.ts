// What all watchers of an event share. The port's own contract runs in row-lock.contract.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventId, Progress } from "@stampede/domain";
import { postgresEventStore } from "../../src/rows/event-store.ts";
import { directoryProgressFeed } from "../../src/rows/progress-feed.ts";
import { openTestDatabase } from "../support/database.ts";
import { missing, until } from "@stampede/launcher/testing";
import { createTestEvent } from "../support/sale.ts";

// Red when a watcher who began with a newer frame than the others have is told it with them once more
// (`next.id > firstId`): streams that return in mid-sale (N9).
test(
  "tells no frame twice to somebody who came before all were told of it",
  { skip: missing("postgres") },
  async (t) => {
    const { postgres, directory } = await openTestDatabase(t);
    const store = postgresEventStore(postgres);
    const eventId = await createTestEvent(store, "row-lock", { limit: 2 });
    const feed = directoryProgressFeed(directory, postgres);
    const watch = async (id: EventId): Promise<Progress[]> => {
      const frames: Progress[] = [];
      const stop = await feed.watch(id, (progress) => frames.push(progress));
      t.after(() => stop?.());
      return frames;
    };
    const early = await watch(eventId);
    const known = directory.peek(eventId);
    assert.ok(known !== null);
    // A commit that this process learns of; in the same turn, so before the next tick, somebody comes.
    directory.noteCommitted({ ...known, event: { ...known.event, issued: 1 } }, []);
    const late = await watch(eventId);
    assert.deepEqual([early.at(-1)?.issued, late.at(-1)?.issued], [0, 1]);
    await until(() => early.at(-1)?.issued === 1, "all are told");
    assert.equal(late.length, 1);
  },
);
