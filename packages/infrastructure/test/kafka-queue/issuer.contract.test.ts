import { test } from "node:test";
import { couponIssuerContract, progressFeedContract } from "@stampede/domain/contracts";
import { directoryProgressFeed } from "../src/postgres/progress-feed.ts";
import { openQueueSale } from "./kafka/support.ts";
import { missing } from "./support/engines.ts";

const absent = missing("postgres", "kafka");

if (absent !== false) {
  test("keeps the contract of CouponIssuer", { skip: absent });
} else {
  couponIssuerContract("kafka-queue", async (t, wanted) => {
    const sale = await openQueueSale(t);
    sale.first.startDecider();
    const eventId = await sale.createEvent(wanted);
    return { issuer: sale.first.issuer, eventId, store: sale.store };
  });

  couponIssuerContract("kafka-queue, two instances by turns", async (t, wanted) => {
    const sale = await openQueueSale(t);
    const second = await sale.openInstance();
    sale.first.startDecider();
    second.startDecider();
    const eventId = await sale.createEvent(wanted);
    let turn = 0;
    const next = (): typeof second.issuer => {
      turn += 1;
      return turn % 2 === 0 ? sale.first.issuer : second.issuer;
    };
    return {
      issuer: {
        claim: async (id, userId) => next().claim(id, userId),
        status: async (id, userId, ticket) => next().status(id, userId, ticket),
        available: (id) => sale.first.issuer.available(id) && second.issuer.available(id),
      },
      eventId,
      store: sale.store,
    };
  });

  progressFeedContract("directory, kafka-queue", async (t) => {
    const sale = await openQueueSale(t);
    sale.first.startDecider();
    const eventId = await sale.createEvent({ limit: 2 });
    const { directory, postgres, issuer } = sale.first;
    return {
      feed: directoryProgressFeed(directory, postgres),
      issuer,
      store: sale.store,
      eventId,
    };
  });
}
