import { test } from "node:test";
import { couponIssuerContract } from "@stampede/domain/contracts";
import { missing } from "@stampede/launcher/testing";
import { inTurn } from "../support/in-turn.ts";
import { openRedisCounter, openSecondRedisCounter } from "../support/redis-counter.ts";
import { createTestEvent } from "../support/sale.ts";

const absent = missing("postgres", "redis");
if (absent !== false) {
  test("redis-counter keeps the issuers' contract", { skip: absent }, () => undefined);
} else {
  couponIssuerContract("redis-counter", async (t, wanted) => {
    const { issuer, store } = await openRedisCounter(t);
    const eventId = await createTestEvent(store, "redis-counter", wanted);
    return { issuer, eventId, store };
  });

  couponIssuerContract("redis-counter, on two instances in turn", async (t, wanted) => {
    const first = await openRedisCounter(t);
    const second = await openSecondRedisCounter(t, first);
    const eventId = await createTestEvent(first.store, "redis-counter", wanted);
    return { issuer: inTurn([first.issuer, second.issuer]), eventId, store: first.store };
  });
}
