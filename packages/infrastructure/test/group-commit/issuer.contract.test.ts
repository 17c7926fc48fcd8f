import { couponIssuerContract } from "@stampede/domain/contracts";
import { createTestDatabase } from "../support/database.ts";
import { MECHANISM, openGroupCommit } from "../support/group-commit.ts";
import { inTurn } from "../support/in-turn.ts";
import { createTestEvent } from "../support/sale.ts";

couponIssuerContract("group-commit", async (t, wanted) => {
  const { issuer, store } = await openGroupCommit(t, await createTestDatabase(t));
  return { issuer, eventId: await createTestEvent(store, MECHANISM, wanted), store };
});

couponIssuerContract("group-commit, on two instances in turn", async (t, wanted) => {
  const url = await createTestDatabase(t);
  const { issuer: first, store } = await openGroupCommit(t, url);
  const { issuer: second } = await openGroupCommit(t, url);
  const eventId = await createTestEvent(store, MECHANISM, wanted);
  return { issuer: inTurn([first, second]), eventId, store };
});
