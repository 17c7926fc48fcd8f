// T4: a person's token expires while they wait in line. The ticket stands, since the log knows the person
// and not the token; who asks for it needs a fresh token of the same person.
//
// Red when a status is answered by a token that was good once (a verified token kept beyond its expiry),
// and when a ticket is looked up by its number (B31) or belongs to the token (`userId` made of more than
// its `sub`, in api/src/jwt-identity.ts).
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { until } from "@stampede/launcher/testing";
import { startJwtProgram } from "../../support/jwt-program.ts";
import type { FaultCase } from "../case.ts";
import { finish } from "../finish.ts";
import { KAFKA_MECHANISMS, only } from "../mechanisms.ts";
import { changePace, claimAll } from "../support/kafka-sale.ts";
import { queueOf } from "../support/queue.ts";
import { openSale, people } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const LIMIT = 40;
const EARLY = 30;
const LATE = 10;
/** The last ones wait for more than ten seconds, unless the pace is lifted. */
const PACE = 2;
/** The service adds its tolerance of 5 s. */
const LIFE_SECONDS = 3;
const EXPIRED_MS_MAX = 10_000;
const ASK_AGAIN_MS = 200;

const EXPIRED = "a token expired before its ticket was decided";
const FRESH = "a fresh token found the ticket";

export const expiredTokenCase: FaultCase = {
  id: "T4",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  injects: `the tokens of ${LATE} people in line expire`,
  holds: "the ticket stands, and a fresh token of the same person finds it",
  runs: "all",
  expects: [EXPIRED, FRESH],
  place: "own",
  async run(stage) {
    const { program, keyring } = await startJwtProgram(stage.t);
    const bearer = (token: string): string => `Authorization: Bearer ${token}`;
    const opened = await openSale(program, { mechanism: only(stage), limit: LIMIT });
    const sale: Sale = { ...opened, credentials: (person) => bearer(keyring.tokenOf(person)) };
    await changePace(sale, PACE);

    const told = await claimAll(sale, people(EARLY), 0);
    const late = new Map(
      people(LATE).map((person) => [
        person,
        keyring.tokenOf(person, { lifeSeconds: LIFE_SECONDS }),
      ]),
    );
    const shortLived = { ...sale, credentials: (person: string) => bearer(late.get(person)!) };
    told.push(...(await claimAll(shortLived, [...late.keys()], 0)));
    const tickets = new Map(told.map(({ person, ticket }) => [person, ticket!]));
    assert.equal(new Set(tickets.values()).size, EARLY + LATE, "everybody queued");

    for (const [person, token] of late) {
      const ticket = tickets.get(person)!;
      const first = await statusOf(sale, { token: keyring.tokenOf(person), ticket });
      assert.equal(first.body["status"], "queued");
      await until(
        async () => (await statusOf(sale, { token, ticket })).status === 401,
        "the token expires",
        { msMax: EXPIRED_MS_MAX },
      );
      stage.injected();
      if ((await queueOf(sale)).nextOffset <= ticket) stage.met(EXPIRED);
      const fresh = await statusOf(sale, { token: keyring.tokenOf(person), ticket });
      assert.equal(fresh.status, 200);
      if (fresh.body["status"] === "queued") {
        assert.equal(fresh.body["ticket"], ticket);
        assert.ok(
          Number(fresh.body["ahead"]) <= Number(first.body["ahead"]),
          "S12: it never grows",
        );
        stage.met(FRESH);
      }
    }

    await changePace(sale, null);
    await finish(stage, sale, told);
    for (const [person, token] of late) {
      const ticket = tickets.get(person)!;
      assert.equal((await statusOf(sale, { token, ticket })).status, 401);
      const { body } = await statusOf(sale, { token: keyring.tokenOf(person), ticket });
      assert.deepEqual([body["status"], body["seq"]], ["issued", ticket + 1]);
    }
  },
};

async function statusOf(
  { program, eventId }: Sale,
  { token, ticket }: { readonly token: string; readonly ticket: number },
): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }> {
  const url = `${program.url}/events/${eventId}/issues/me?ticket=${ticket}`;
  const headers = { authorization: `Bearer ${token}` };
  let answer = await fetch(url, { headers });
  // Who has just asked for everybody's end may have to wait a moment.
  while (answer.status === 429) {
    await answer.arrayBuffer();
    await pause(ASK_AGAIN_MS);
    answer = await fetch(url, { headers });
  }
  const body = (await answer.json()) as Record<string, unknown>;
  return { status: answer.status, body };
}
