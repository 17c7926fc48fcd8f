// A9: SIGTERM under load. Whoever sent a claim gets an answer, streams end with a time to come back,
// and the process ends by itself with 0 within ten seconds.
//
// Red when the streams are not ended (`preClose` in routes/stream.ts), or when idle connections are cut
// before what is on its way to them was read (`LISTEN_ON_MS` in shutdown.ts).
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { Attempt, Mechanism } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { faultRow } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  tally,
  unsettled,
  until,
  verdict,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const PEOPLE = 600;
const LIMIT = 100;
const DRAIN_MS_MAX = 10_000;

describe("SIGTERM in the middle of a rush", { skip: engineMissing }, () => {
  for (const mechanism of MECHANISMS) {
    test(`${mechanism}: everybody is answered, and the process ends with 0`, async (t) => {
      await stopInRush(t, mechanism, 50);
    });
  }

  test("everybody is answered whose claim comes as the end begins, by a sure no", async (t) => {
    const told = await stopInRush(t, "row-lock", 0);
    assert.deepEqual(tally(told), { refused: PEOPLE });
  });
});

/**
 * Stops the program after so many answers (with 0: once it says that it stops, before any claim is
 * sent); gives what the crowd was told. Then starts it again, and everybody gets what is theirs.
 */
async function stopInRush(
  t: TestContext,
  mechanism: Mechanism,
  answersMax: number,
): Promise<readonly Attempt[]> {
  const when = answersMax > 0 ? `after ${answersMax} answers of a rush` : "just before a rush";
  const row = faultRow(t, { row: "A9", mechanism, fault: `SIGTERM ${when}` });
  const program = await startProgram(t);
  const sale = await openSale(program, { mechanism, limit: LIMIT });
  const received = await openStream(t, sale);
  const persons = people(PEOPLE);
  const stops: ReturnType<typeof stopTimed>[] = [];
  const told = await claimAtOnce(sale, persons, {
    async beforeSending() {
      if (answersMax > 0) return;
      stops.push(stopTimed(program));
      await until(async () => (await fetch(`${program.url}/healthz`)).status === 503, "it stops");
    },
    onAnswer(answers) {
      if (answers === answersMax) stops.push(stopTimed(program));
    },
  });
  const [stopped] = await Promise.all(stops);
  assert.ok(stopped !== undefined);
  row.injected();
  assert.equal(stopped.code, 0);
  assert.ok(stopped.ms < DRAIN_MS_MAX, `${stopped.ms} ms`);
  assert.match(received(), /\nretry: \d+\n\n$/);
  assert.equal(tally(told)["unknown"] ?? 0, 0, JSON.stringify(tally(told)));

  await program.restart();
  const healedMs = performance.now();
  const again = await claimAtOnce(sale, persons);
  const asked = await askEverybody(sale, [...told, ...again]);
  assert.deepEqual(unsettled(asked), []);
  row.recovered("L2", performance.now() - healedMs);
  const { violations, stored } = await verdict(sale, [...told, ...again, ...asked]);
  row.judged([...told, ...again], violations.length);
  assert.deepEqual(violations, []);
  assert.equal(stored.rows.length, LIMIT);
  return told;
}

async function stopTimed(
  program: Program,
): Promise<{ readonly code: number | null; readonly ms: number }> {
  const startMs = performance.now();
  const code = await program.stop();
  return { code, ms: performance.now() - startMs };
}

/** Watches the sale; gives what was received so far. */
async function openStream(t: TestContext, { eventId, target }: Sale): Promise<() => string> {
  const socket = connect(target.port, target.address);
  t.after(() => socket.destroy());
  let received = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    received += chunk;
  });
  socket.on("error", () => undefined);
  // HTTP/1.0, so that the text is not cut into chunks and its end is the connection's.
  socket.write(`GET /events/${eventId}/stream HTTP/1.0\r\nHost: ${target.authority}\r\n\r\n`);
  const signal = AbortSignal.timeout(5_000);
  while (!received.includes("event: progress")) await once(socket, "data", { signal });
  return () => received;
}
