import { test } from "node:test";
import { couponIssuerContract, progressFeedContract } from "@stampede/domain/contracts";
import { directoryProgressFeed } from "../../src/rows/progress-feed.ts";
import { inTurn } from "../support/in-turn.ts";
import { openQueueSale } from "../support/kafka-queue.ts";
import { missing } from "@stampede/launcher/testing";

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

  couponIssuerContract("kafka-queue, on two instances in turn", async (t, wanted) => {
    const sale = await openQueueSale(t);
    const second = await sale.openInstance();
    sale.first.startDecider();
    second.startDecider();
    const eventId = await sale.createEvent(wanted);
    return { issuer: inTurn([sale.first.issuer, second.issuer]), eventId, store: sale.store };
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
