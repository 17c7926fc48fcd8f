import { test } from "node:test";
import { couponIssuerContract } from "@stampede/domain/contracts";
import { missing } from "./support/engines.ts";
import { openRedisCounter, openSecondRedisCounter } from "./redis/support.ts";
import { createTestEvent } from "./support/sale.ts";

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
    const instances = [first.issuer, second.issuer];
    let asked = 0;
    const next = (): typeof first.issuer => {
      asked += 1;
      return instances[asked % instances.length]!;
    };
    const issuer: typeof first.issuer = {
      ...first.issuer,
      claim: async (id, userId) => next().claim(id, userId),
      status: async (id, userId, ticket) => next().status(id, userId, ticket),
      available: (id) => instances.every((instance) => instance.available(id)),
    };
    return { issuer, eventId, store: first.store };
  });
}
