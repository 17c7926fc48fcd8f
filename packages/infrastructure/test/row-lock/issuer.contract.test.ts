import {
  couponIssuerContract,
  eventStoreContract,
  progressFeedContract,
} from "@stampede/domain/contracts";
import { drawCode } from "../../src/rows/codes.ts";
import { postgresEventStore, servedEventStore } from "../../src/rows/event-store.ts";
import { directoryProgressFeed } from "../../src/rows/progress-feed.ts";
import { rowLockIssuer } from "../../src/row-lock/issuer.ts";
import { openTestDatabase } from "../support/database.ts";
import { createTestEvent } from "../support/sale.ts";

couponIssuerContract("row-lock", async (t, wanted) => {
  const { postgres, directory } = await openTestDatabase(t);
  const store = postgresEventStore(postgres);
  const eventId = await createTestEvent(store, "row-lock", wanted);
  return { issuer: rowLockIssuer({ postgres, directory, drawCode }), eventId, store };
});

progressFeedContract("directory", async (t) => {
  const { postgres, directory } = await openTestDatabase(t);
  const store = postgresEventStore(postgres);
  const eventId = await createTestEvent(store, "row-lock", { limit: 2 });
  const issuer = rowLockIssuer({ postgres, directory, drawCode });
  return { feed: directoryProgressFeed(directory, postgres), issuer, store, eventId };
});

eventStoreContract("PostgreSQL", async (t) => {
  const { postgres } = await openTestDatabase(t);
  return postgresEventStore(postgres);
});

eventStoreContract("PostgreSQL, read by the directory", async (t) =>
  servedEventStore(await openTestDatabase(t), () => null),
);
