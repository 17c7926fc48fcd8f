// S18 on the real program with AUTH=jwt: no answer shows another person's coupon or ticket, whatever else
// the request says about who is calling. 1,000 probes by people with good tokens of their own, over all
// mechanisms, and as many with tokens that prove nothing.
//
// Red when `X-User-Id` is read beside a token (B45), when a status is looked up by its ticket (B31), when
// the signature is not verified, and when the keys' file is read once only.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startJwtProgram } from "../support/jwt-program.ts";
import type { JwtProgram } from "../support/jwt-program.ts";
import { until } from "@stampede/launcher/testing";
import {
  askEverybody,
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  readStored,
  verdict,
} from "../faults/support/sale.ts";
import type { Sale } from "../faults/support/sale.ts";

const LIMIT = 20;
const CROWD = 40;
const PROBES = 1_000;
const AT_ONCE = 20;
const ASK_AGAIN_MS = 200;

type Known = {
  readonly sale: Sale;
  readonly person: string;
  readonly ticket: number | null;
  /** What the program answers this person, as text. */
  readonly answer: string;
};

type Probe = {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
};

test("nobody is shown another's coupon", { skip: engineMissing() }, async (t) => {
  const running = await startJwtProgram(t);
  const { keyring, program } = running;
  const known: Known[] = [];
  for (const mechanism of MECHANISMS) {
    const opened = await openSale(program, { mechanism, limit: LIMIT });
    const credentials = (person: string): string =>
      `Authorization: Bearer ${keyring.tokenOf(person)}`;
    const sale: Sale = { ...opened, credentials };
    const how = { spreadMs: 200, deadlineMs: 20_000 };
    const told = await claimUntilAnswered(sale, people(CROWD), how);
    const asked = await askEverybody(sale, told);
    const { violations, stored } = await verdict(sale, [...told, ...asked]);
    assert.deepEqual(violations, []);
    assert.equal(stored.rows.length, LIMIT);
    for (const { person, ticket } of told) {
      known.push({ sale, person, ticket, answer: await ownAnswer(running, { sale, person }) });
    }
  }
  const holders = known.filter(({ answer }) => answer.includes('"issued"'));
  assert.equal(holders.length, MECHANISMS.length * LIMIT);

  await t.test(`${PROBES} probes with a token of one's own get one's own answer`, async () => {
    await inLanes(PROBES, async (n) => {
      const victim = holders[n % holders.length]!;
      const sameSale = known.filter(({ sale }) => sale === victim.sale);
      const caller = sameSale[(n * 7 + 1) % sameSale.length]!;
      if (caller.person === victim.person) return;
      const probe = probesOf(running, { caller, victim })[n % 5]!;
      const { status, text } = await send(probe);
      assertHidden(text, victim);
      const isClaim = probe.method === "POST";
      const hasNone = !caller.answer.includes('"issued"');
      assert.equal(status, isClaim && hasNone ? 409 : 200, text);
      if (!isClaim || !hasNone) assert.equal(text, caller.answer);
    });
  });

  await t.test(`${PROBES} probes that prove nothing get 401`, async () => {
    await inLanes(PROBES, async (n) => {
      const victim = holders[n % holders.length]!;
      const { status, text } = await send(strangersProbe(running, victim, n));
      assert.equal(status, 401, text);
      assertHidden(text, victim);
      assert.ok(!text.includes(victim.person), "no echo");
    });
  });

  await t.test("none of it has written anything", async () => {
    for (const mechanism of MECHANISMS) {
      const one = holders.find(({ sale }) => sale.mechanism === mechanism)!;
      const { issued, rows } = await readStored(one.sale);
      assert.deepEqual([issued, rows.length], [LIMIT, LIMIT]);
    }
  });

  await t.test("keys rotate while it runs: both count, then the new one alone", async () => {
    const [one] = holders;
    const ask = async (token: string): Promise<number> => {
      const probe = asking(one!.sale, { authorization: `Bearer ${token}` });
      let { status } = await send(probe);
      // One person who asks this often is told to wait; that is not what is judged here.
      while (status === 429) {
        await pause(ASK_AGAIN_MS);
        ({ status } = await send(probe));
      }
      return status;
    };
    const before = keyring.tokenOf(one!.person);
    keyring.rotate();
    const after = keyring.tokenOf(one!.person);
    await until(async () => (await ask(after)) === 200, "the new key counts");
    assert.equal(await ask(before), 200);
    keyring.retire();
    await until(async () => (await ask(before)) === 401, "the old key counts no longer");
    assert.equal(await ask(after), 200);
  });
});

/** Five ways to say that one is somebody else, beside a token that says the truth. */
function probesOf(
  { keyring }: JwtProgram,
  { caller, victim }: { readonly caller: Known; readonly victim: Known },
): readonly Probe[] {
  const { sale } = caller;
  const own = { authorization: `Bearer ${keyring.tokenOf(caller.person)}` };
  const named = { ...own, "x-user-id": victim.person };
  const claim = `${sale.program.url}${sale.claimPath}`;
  return [
    asking(sale, named),
    asking(sale, own, `?ticket=${victim.ticket ?? 0}`),
    asking(sale, { ...named, cookie: `sub=${victim.person}`, from: victim.person }),
    asking(sale, own, `?ticket=${victim.ticket ?? 1}&userId=${victim.person}&sub=${victim.person}`),
    { url: claim, method: "POST", headers: named },
  ];
}

function strangersProbe({ keyring }: JwtProgram, { sale, person }: Known, n: number): Probe {
  const forged = keyring.forgedToken(person);
  const unsigned = forged.slice(0, forged.lastIndexOf(".") + 1);
  const headers = [
    { "x-user-id": person },
    { authorization: `Bearer ${forged}` },
    { authorization: `Bearer ${keyring.tokenOf(person, { lifeSeconds: -60 })}` },
    { authorization: `Bearer ${unsigned}${"A".repeat(86)}` },
    { authorization: `Bearer ${keyring.tokenOf(`${person} `)}` },
  ][n % 5]!;
  const claim = { url: `${sale.program.url}${sale.claimPath}`, method: "POST" as const, headers };
  return n % 2 === 0 ? asking(sale, headers) : claim;
}

function asking(
  { program, eventId }: Sale,
  headers: Readonly<Record<string, string>>,
  query = "",
): Probe {
  return { url: `${program.url}/events/${eventId}/issues/me${query}`, method: "GET", headers };
}

async function ownAnswer(
  { keyring }: JwtProgram,
  { sale, person }: Pick<Known, "sale" | "person">,
): Promise<string> {
  const headers = { authorization: `Bearer ${keyring.tokenOf(person)}` };
  return (await send(asking(sale, headers))).text;
}

async function send({
  url,
  method,
  headers,
}: Probe): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(url, { method, headers });
  return { status: answer.status, text: await answer.text() };
}

function assertHidden(text: string, { answer }: Known): void {
  const { code } = JSON.parse(answer) as { readonly code: string };
  assert.ok(!text.includes(code), "S18: it shows another's coupon");
}

async function inLanes(count: number, run: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await run((next += 1) - 1);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}
