// WORKERS=2 on the real program: one service to whoever starts it, stops it, scrapes it or looks for a
// process of it. Sales under faults are A13's and those of `npm run faults -- --workers 2`.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { isAlive } from "@stampede/launcher";
import { missing, until } from "@stampede/launcher/testing";
import { procMissing, serversOf } from "@stampede/proof/faults/support/processes.ts";
import { startProgram } from "@stampede/proof/support/program.ts";

const WORKERS = "2";
const EVENTS = 12;
const CLAIMS = 40;
/** A worker that is started anew, on a busy machine. */
const REPLACED = { msMax: 60_000 };
const ISSUED = /^stampede_claims_total\{mechanism="row-lock",outcome="issued"\} (\d+)$/m;

type Request = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

/** Over a connection of its own, which the kernel gives to one worker or the other. */
async function ask(url: string, request: Request = {}): Promise<{ status: number; text: string }> {
  const headers = { ...request.headers, connection: "close" };
  const signal = AbortSignal.timeout(5_000);
  const response = await fetch(url, { ...request, headers, signal });
  return { status: response.status, text: await response.text() };
}

describe("two workers", { skip: procMissing || missing("postgres") }, () => {
  test("are one service, and whoever dies is replaced", async (t) => {
    let output = "";
    const program = await startProgram(
      t,
      { WORKERS, ADMIN_TOKEN: "", REDIS_URL: "", KAFKA_BROKERS: "" },
      { onOutput: (text) => (output += text) },
    );
    const tells = (pattern: RegExp): readonly RegExpMatchArray[] => [...output.matchAll(pattern)];
    const scrape = async (): Promise<string> => (await ask(`${program.url}/metrics`)).text;
    const issuedOf = (text: string): number => Number(ISSUED.exec(text)?.[1]);
    const areTwo = async (): Promise<boolean> =>
      (await scrape().catch(() => "")).includes(`\nstampede_workers ${WORKERS}\n`);

    await t.test(
      "tell once where they are, what they take, and one token that both know",
      async () => {
        await until(() => tells(/The operator's token/g).length > 0, "the token is told");
        assert.equal(tells(/Stampede listens on \S+ \(role all, 2 workers\)/g).length, 1);
        assert.equal(tells(/PostgreSQL: up to 30 connections \(15 for each worker\)/g).length, 1);
        const token = /The operator's token, made for this run: (\S+)/.exec(output)?.[1];
        const made = Array.from({ length: EVENTS }, async (_, n) =>
          ask(`${program.url}/events`, {
            method: "POST",
            headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
            body: JSON.stringify({
              id: `event-${n}`,
              name: "Spring",
              mechanism: "row-lock",
              limit: CLAIMS,
            }),
          }),
        );
        for (const { status, text } of await Promise.all(made)) assert.equal(status, 201, text);
      },
    );

    await t.test("tell the same metrics, of both, whichever is asked", async () => {
      const claims = Array.from({ length: CLAIMS }, async (_, n) =>
        ask(`${program.url}/v1/events/event-0/issues`, {
          method: "POST",
          headers: { "x-user-id": `person-${n}` },
        }),
      );
      for (const { status, text } of await Promise.all(claims)) assert.equal(status, 201, text);
      for (let n = 0; n < EVENTS; n += 1) {
        const text = await scrape();
        assert.equal(issuedOf(text), CLAIMS);
        assert.match(text, /^stampede_event_limit\{event="event-0",mechanism="row-lock"\} 40$/m);
      }
    });

    // Red when a silent worker is waited for without end.
    await t.test("answer a scrape while one of them stands still", async (t) => {
      const [still] = serversOf(program.pid);
      process.kill(still!, "SIGSTOP");
      t.after(() => process.kill(still!, "SIGCONT"));
      await until(
        async () => {
          const text = await scrape().catch(() => "");
          return text.includes("\nstampede_workers 1\n") && issuedOf(text) === CLAIMS;
        },
        "the other one tells what both have counted",
        REPLACED,
      );
    });

    // Red when `keep` in workers/primary.ts starts nobody, or waits as long each time.
    await t.test(
      "replace one that is killed, after a pause that grows; no sum goes down",
      async () => {
        await until(areTwo, "both answer", REPLACED);
        for (let n = 0; n < 2; n += 1) {
          const before = serversOf(program.pid);
          process.kill(before[0]!, "SIGKILL");
          await until(
            async () => !serversOf(program.pid).includes(before[0]!) && (await areTwo()),
            "another one has taken the place",
            REPLACED,
          );
          assert.equal(issuedOf(await scrape()), CLAIMS);
        }
        assert.equal(tells(/a worker ended by SIGKILL: another one takes its place/g).length, 2);
      },
    );

    await t.test("end with their program, and it with 0", async () => {
      const workers = serversOf(program.pid);
      assert.equal(await program.stop(), 0);
      assert.deepEqual(workers.filter(isAlive), []);
    });

    // Red when a worker does not listen for "disconnect".
    await t.test("end by themselves when their primary is killed", async () => {
      await program.restart();
      const workers = serversOf(program.pid);
      assert.equal(workers.length, 2);
      process.kill(program.pid, "SIGKILL");
      await until(() => !workers.some(isAlive), "no worker is left");
    });
  });

  test("tell a fault of their start once, with the exit code of one process", async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    t.after(() => taken.close());
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const elsewhere = "postgres://nobody@127.0.0.1:9/nothing";
    for (const [environment, code, told] of [
      [{ WORKERS: "two" }, 2, /WORKERS must be a whole number from 1 to 64/g],
      [{ WORKERS, PORT: String(port) }, 1, /port \d+ of 127\.0\.0\.1 is in use/g],
      [
        { WORKERS, PORT: "0" },
        1,
        /Stampede cannot start: PostgreSQL did not answer: connect ECONNREFUSED/g,
      ],
    ] as const) {
      const { PATH = "" } = process.env;
      const { status, stderr } = spawnSync(process.execPath, ["packages/api/src/main.ts"], {
        env: { PATH, DATABASE_URL: elsewhere, LOG_LEVEL: "silent", ...environment },
        encoding: "utf8",
        timeout: REPLACED.msMax,
      });
      assert.equal(status, code, stderr);
      assert.equal([...stderr.matchAll(told)].length, 1, stderr);
    }
  });
});
