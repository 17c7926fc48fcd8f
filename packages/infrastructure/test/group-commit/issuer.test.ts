// v4 on its good days: what a batch holds, who wins in it, and who is turned away. Each test names what
// turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ClaimAnswer } from "@stampede/domain";
import { missing, until } from "@stampede/launcher/testing";
import { hearFacts } from "../support/facts.ts";
import {
  answeredBefore,
  MECHANISM,
  openGroupCommit,
  openSale,
  sizesOf,
  untilBlocked,
} from "../support/group-commit.ts";
import type { OpenedSale } from "../support/group-commit.ts";
import { faultOf, readStored, upTo } from "../support/postgres.ts";
import { createTestEvent, person } from "../support/sale.ts";

const soldOut: ClaimAnswer = { kind: "refused", refusal: { kind: "sold-out" } };

/** Claims of these persons at one instant. */
async function claimAll(
  { issuer, eventId }: OpenedSale,
  names: readonly (string | number)[],
): Promise<readonly ClaimAnswer[]> {
  return Promise.all(names.map(async (name) => issuer.claim(eventId, person(name))));
}

function kindsOf(answers: readonly ClaimAnswer[]): readonly string[] {
  return answers.map((answer) => (answer.kind === "refused" ? answer.refusal.kind : answer.kind));
}

function seqsOf(answers: readonly ClaimAnswer[]): readonly number[] {
  return answers.flatMap((answer) => (answer.kind === "issued" ? [answer.couponIssue.seq] : []));
}

describe("a batch of v4", { skip: missing("postgres") }, () => {
  // Red when a batch is sorted by anything but arrival (`take`), or answers go astray.
  // Red when sold out is told before the last coupon is gone.
  test("serves persons in the order in which they came, and is sold out exactly at the limit", async (t) => {
    const facts = hearFacts(t);
    const sale = await openSale(t, { limit: 40 });
    // Neither ascending nor descending by any name.
    const names = upTo(101).map((n) => (n * 37) % 101);
    const answers = await claimAll(sale, names);
    assert.deepEqual(seqsOf(answers.slice(0, 40)), upTo(40));
    assert.deepEqual(
      answers.slice(40),
      Array.from({ length: 61 }, () => soldOut),
    );
    assert.deepEqual(sizesOf(facts), [101]);
    const stored = await readStored(sale.observer, sale.eventId);
    assert.deepEqual(
      stored.persons,
      names.slice(0, 40).map((name) => person(name)),
    );
  });

  // Red when a claim that comes while a transaction runs gets one of its own.
  test("holds everybody who came while the transaction before it ran", async (t) => {
    const facts = hearFacts(t);
    const sale = await openSale(t, { limit: 200 });
    await sale.holdEventRow();
    const first = claimAll(sale, ["first"]);
    await untilBlocked(sale, /FOR UPDATE/);
    const others = claimAll(sale, upTo(100));
    await sale.other.query("COMMIT");
    assert.deepEqual(seqsOf([...(await first), ...(await others)]), upTo(101));
    assert.deepEqual(sizesOf(facts), [1, 100]);
  });

  // Red when a person takes two places in line, or is issued twice.
  test("has a person once who claims twice while waiting, and the second answer is a replay", async (t) => {
    const facts = hearFacts(t);
    const sale = await openSale(t, { limit: 5 });
    const answers = await claimAll(sale, [1, 1, 2, 1]);
    assert.deepEqual(kindsOf(answers), ["issued", "replayed", "issued", "replayed"]);
    assert.deepEqual(sizesOf(facts), [2]);
    assert.equal(sale.issuer.inFlight(), 0);
  });

  // Red when whoever waits for what is sold out elsewhere is decided by hundreds, or by more than the
  // lock should be held for while coupons are left.
  test("decides by hundreds while coupons are left, and by thousands once it knows the end", async (t) => {
    const facts = hearFacts(t);
    const sale = await openSale(t, { limit: 600 });
    const elsewhere = await openGroupCommit(t, sale.url);
    const won = await claimAll({ ...sale, issuer: elsewhere.issuer }, upTo(600));
    assert.deepEqual(seqsOf(won), upTo(600));
    assert.deepEqual(sizesOf(facts), [500, 100]);
    const lost = await claimAll(
      sale,
      upTo(3_000).map((n) => n + 600),
    );
    assert.deepEqual(new Set(kindsOf(lost)), new Set(["sold-out"]));
    assert.deepEqual(sizesOf(facts).slice(2), [500, 2_500]);
  });

  // Red when whoever waits for what this process has sold out asks the database again, or is told the
  // end while winners are missing in the directory.
  test("asks the database nothing about who still waits when it has sold the last coupon", async (t) => {
    const facts = hearFacts(t);
    const sale = await openSale(t, { limit: 100 });
    const answers = await claimAll(sale, [...upTo(2_000), 1, 2, 3]);
    assert.deepEqual(seqsOf(answers), upTo(100));
    assert.deepEqual(kindsOf(answers.slice(2_000)), ["replayed", "replayed", "replayed"]);
    assert.equal(answers.filter(({ kind }) => kind === "refused").length, 1_900);
    assert.deepEqual(sizesOf(facts), [500]);
    assert.deepEqual(await sale.issuer.claim(sale.eventId, person("late")), soldOut);
    assert.equal((await sale.issuer.claim(sale.eventId, person(7))).kind, "replayed");
    assert.deepEqual(sizesOf(facts), [500]);
  });
});

describe("a crowd on v4", { skip: missing("postgres") }, () => {
  // Red when a queue is too short, a wait too long, or a batch without bound.
  for (const limit of [100, 10_000]) {
    test(`is answered on its merits: 10,000 at one instant, limit ${limit}`, async (t) => {
      const facts = hearFacts(t);
      const sale = await openSale(t, { limit });
      const answers = await claimAll(sale, upTo(10_000));
      assert.deepEqual(seqsOf(answers), upTo(limit));
      assert.equal(answers.filter(({ kind }) => kind === "refused").length, 10_000 - limit);
      const { issued, seqs } = await readStored(sale.observer, sale.eventId);
      assert.equal(issued, limit);
      assert.deepEqual(seqs, upTo(limit));
      assert.ok(Math.max(...sizesOf(facts)) <= 500);
    });
  }

  // Red when the backlog has no bound, or when whoever is in line already is turned away.
  test("is turned away behind what can be decided in time, before it waits", async (t) => {
    const sale = await openSale(t, { limit: 10 });
    const { issuer, eventId } = sale;
    await sale.holdEventRow();
    const waiting = claimAll(sale, upTo(20_000));
    assert.equal(issuer.saturation(), 0.4);
    assert.deepEqual([...issuer.lines()], [[eventId, 0.4]]);
    const fault = await faultOf(issuer.claim(eventId, person("late")));
    assert.equal(fault.outcome, "not-applied");
    assert.match(fault.message, /than can be decided in time/);
    const again = issuer.claim(eventId, person(1));
    const elsewhere = await createTestEvent(sale.store, MECHANISM, { limit: 1 });
    assert.equal((await issuer.claim(elsewhere, person("late"))).kind, "issued");
    await sale.other.query("COMMIT");
    assert.deepEqual(seqsOf(await waiting), upTo(10));
    assert.equal((await again).kind, "replayed");
    assert.equal(issuer.saturation(), 0);
  });

  // Red when claims are not counted that wait for the answer to a person's first one.
  test("is turned away when as many claims wait as there is room for", async (t) => {
    const sale = await openSale(t, { limit: 1 });
    const { issuer, eventId, directory } = sale;
    await sale.holdEventRow();
    const claims = Array.from({ length: 50_000 }, async () => issuer.claim(eventId, person(1)));
    const answers = Promise.all(claims);
    assert.equal(issuer.saturation(), 1);
    const fault = await faultOf(issuer.claim(eventId, person(1)));
    assert.equal(fault.outcome, "not-applied");
    await sale.other.query("COMMIT");
    assert.equal((await answers).filter(({ kind }) => kind === "replayed").length, 49_999);
    assert.equal(issuer.inFlight(), 0);
    assert.equal(directory.final(eventId, person(2)), "sold-out");
  });

  // Red when a writer stays after its event (`onIdle`): a map that grows with every event ever sold.
  test("leaves nothing behind of the events that it has claimed from", async (t) => {
    const sale = await openSale(t, { limit: 1 });
    const { issuer, store } = sale;
    const events = await Promise.all(
      upTo(20).map(async () => createTestEvent(store, MECHANISM, { limit: 3 })),
    );
    const claims = events.map(async (eventId) => issuer.claim(eventId, person(1)));
    assert.equal(issuer.eventsInUse(), 20);
    await Promise.all(claims);
    await until(() => issuer.eventsInUse() === 0, "no writer is left");
    assert.equal(issuer.inFlight(), 0);
  });

  // Red when `close` does not wait for claims in flight, or lets new ones in (A9).
  test("is answered when v4 closes, and whoever comes later is turned away", async (t) => {
    const sale = await openSale(t, { limit: 900 });
    const { issuer, store } = sale;
    const crowd = claimAll(sale, upTo(1_000));
    await issuer.close();
    assert.equal(issuer.inFlight(), 0);
    assert.deepEqual(seqsOf(await crowd), upTo(900));
    assert.equal(issuer.available(sale.eventId), false);
    const other = await createTestEvent(store, MECHANISM, { limit: 1 });
    assert.equal((await faultOf(issuer.claim(other, person(1)))).outcome, "not-applied");
  });
});

describe("the door of v4", { skip: missing("postgres") }, () => {
  // B6. Red when the window is judged by now(), the start of the transaction, or before the lock.
  test("judges the opening by the clock under the lock, not by the start of the wait", async (t) => {
    const sale = await openSale(t, { limit: 5, opensInMs: 3_600_000 });
    await sale.holdEventRow();
    const early = claimAll(sale, [1, 2]);
    await untilBlocked(sale, /FOR UPDATE/);
    // So that it opens after the claims began to wait, however slow the machine is.
    await sale.moveEdge("opens_at");
    await sale.untilEdge("opens_at");
    await sale.other.query("COMMIT");
    const answers = await early;
    assert.deepEqual(seqsOf(answers), [1, 2]);
    const opensAtMs = (await sale.store.find(sale.eventId))!.event.opensAtMs;
    for (const answer of answers) {
      assert.ok(answer.kind === "issued" && answer.couponIssue.issuedAtMs >= opensAtMs);
    }
  });

  test("refuses claims whose window closed while they waited for the lock", async (t) => {
    const sale = await openSale(t, { limit: 5 });
    const holder = await claimAll(sale, [1]);
    assert.deepEqual(kindsOf(holder), ["issued"]);
    await sale.holdEventRow();
    const late = claimAll(sale, [1, 2]);
    await untilBlocked(sale, /FOR UPDATE/);
    await sale.moveEdge("closes_at");
    await sale.untilEdge("closes_at");
    await sale.other.query("COMMIT");
    assert.deepEqual(kindsOf(await late), ["replayed", "closed"]);
  });

  // Red when a pause is judged by what this process knew before it had the lock.
  test("refuses claims that waited for the lock while an operator paused the event", async (t) => {
    const sale = await openSale(t, { limit: 5 });
    await claimAll(sale, [1]);
    await sale.other.query("BEGIN");
    await sale.other.query("UPDATE events SET paused = true WHERE id = $1", [sale.eventId]);
    const late = claimAll(sale, [1, 2]);
    await untilBlocked(sale, /FOR UPDATE/);
    assert.equal(await answeredBefore(late, 50), false);
    await sale.other.query("COMMIT");
    assert.deepEqual(kindsOf(await late), ["replayed", "paused"]);
    assert.deepEqual((await readStored(sale.observer, sale.eventId)).seqs, [1]);
  });
});
