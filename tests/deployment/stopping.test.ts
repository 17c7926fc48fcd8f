// The end of the real program by SIGTERM, whatever has become of it, of its engines or of who is
// connected: within ten seconds, and with a word about what it could not wait for.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive } from "@stampede/launcher";
import { until } from "@stampede/launcher/testing";
import { startKafkaCluster } from "@stampede/proof/faults/support/kafka-cluster.ts";
import type { KafkaNode } from "@stampede/proof/faults/support/kafka-cluster.ts";
import { startOnPrivateEngines } from "@stampede/proof/faults/support/private-engines.ts";
import type { PrivateEngines } from "@stampede/proof/faults/support/private-engines.ts";
import {
  continueTree,
  procMissing,
  serversOf,
  stopTree,
} from "@stampede/proof/faults/support/processes.ts";
import { engineMissing, MECHANISMS, openSale } from "@stampede/proof/faults/support/sale.ts";
import type { Sale } from "@stampede/proof/faults/support/sale.ts";
import { startProgram } from "@stampede/proof/support/program.ts";
import type { Program } from "@stampede/proof/support/program.ts";
import { inReverse } from "./processes.ts";

type AllEngines = PrivateEngines & { readonly kafka: KafkaNode };

/** Longer than a session may be silent, and than any request to an engine lasts. */
const STOPPED_MS = 5_500;

describe("SIGTERM", { skip: procMissing || engineMissing() }, () => {
  // Red when a term of leadership that begins after the program was closed is not ended
  // (engines/postgres/leadership.ts): it begins half a second after it was continued, when it is closed.
  for (const workers of ["1", "2"]) {
    test(`ends a program that was stopped and continued, with ${workers} workers`, async (t) => {
      const program = await startProgram(t, { WORKERS: workers });
      await openSales(program);
      await untilItLeads(program);
      stopTree(program.pid);
      await pause(STOPPED_MS);
      continueTree(program.pid);
      assert.equal(await ends(program), 0, program.lastWords());
    });
  }

  // Red when `closeAll` of closing.ts waits without end, or a session's end waits for its server.
  for (const [title, workers, befall] of [
    ["hang", "1", hang],
    ["hang", "2", hang],
    ["are gone", "1", goAway],
    ["are back", "1", goAndReturn],
  ] as const) {
    test(`ends a program whose engines ${title}, with ${workers} workers`, async (t) => {
      const cleaning = inReverse(t);
      const { nodes } = await startKafkaCluster(cleaning, { nodes: 1 });
      const kafka = nodes[0]!;
      const { program, ...engines } = await startOnPrivateEngines(cleaning, {
        environment: { WORKERS: workers, KAFKA_BROKERS: kafka.broker },
      });
      const sales = await openSales(program);
      const watchers = await Promise.all(sales.map(async (sale) => watch(cleaning, sale)));
      await befall({ ...engines, kafka });
      const claims = sales.map(async (sale) => claimAlone(sale));
      await pause(200);
      const servers = serversOf(program.pid);
      const code = await ends(program);
      assert.notEqual(code, null, program.lastWords());
      if (code !== 0) assert.match(program.lastWords(), /is not closed/);
      assert.deepEqual(servers.filter(isAlive), []);
      // Their own answer, a sure no, or none.
      for (const status of await Promise.all(claims)) assert.notEqual(status, 500);
      for (const watcher of watchers) assert.ok(watcher.closed || watcher.readableEnded);
    });
  }

  // Red when the socket of a CONNECT is left to whoever opened it (parser-errors.ts).
  test("ends a program to which somebody holds a connection that is no request", async (t) => {
    const program = await startProgram(t);
    const lines = ["CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "MARK\r\n\r\n", "", "GET / HT"];
    for (const line of lines) (await holding(t, program)).write(line);
    await pause(200);
    assert.equal(await ends(program), 0, program.lastWords());
  });

  // Red when a primary waits for each of its workers without end (`stopAll` in workers/primary.ts).
  test("ends a program of which one worker stands still, and says which", async (t) => {
    const program = await startProgram(t, { WORKERS: "2" });
    const servers = serversOf(program.pid);
    stopTree(servers[0]!);
    assert.equal(await ends(program), 1, program.lastWords());
    const told = `"worker":${servers[0]},"msg":"a worker did not end in time: it is killed"`;
    assert.ok(program.lastWords().includes(told), program.lastWords());
    assert.deepEqual(servers.filter(isAlive), []);
  });

  // Red when `untilStopped` of shutdown.ts counts no signals.
  test("ends a program at once the second time", async (t) => {
    for (const workers of ["1", "2"]) {
      const program = await startProgram(t, { WORKERS: workers, LOG_LEVEL: "info" });
      const servers = serversOf(program.pid);
      process.kill(program.pid, "SIGTERM");
      await until(() => program.lastWords().includes("the server stops"), "it has heard of it");
      process.kill(program.pid, "SIGINT");
      await until(() => !servers.some(isAlive), "all of it is gone");
      assert.equal(await program.stop(), 1);
    }
  });
});

async function hang({ postgres, redis, kafka }: AllEngines): Promise<void> {
  for (const engine of [postgres, redis, kafka]) engine.freeze();
}

async function goAway({ postgres, redis, kafka }: AllEngines): Promise<void> {
  await Promise.all([postgres, redis, kafka].map(async (engine) => engine.kill()));
}

async function goAndReturn({ postgres, redis }: AllEngines): Promise<void> {
  await Promise.all([postgres, redis].map(async (engine) => engine.kill()));
  await Promise.all([postgres, redis].map(async (engine) => engine.start()));
}

async function openSales(program: Program): Promise<Sale[]> {
  return Promise.all(
    MECHANISMS.map(async (mechanism) => openSale(program, { mechanism, limit: 100 })),
  );
}

/** Null where it had to be killed, after twelve seconds. */
async function ends(program: Program): Promise<number | null> {
  return program.stop();
}

async function untilItLeads(program: Program): Promise<void> {
  await until(async () => {
    const answer = await fetch(`${program.url}/metrics`);
    const text = await answer.text();
    return /^stampede_decider_leading 1$/m.test(text);
  }, "it leads");
}

async function claimAlone({ program, claimPath }: Sale): Promise<number | null> {
  try {
    const answer = await fetch(`${program.url}${claimPath}`, {
      method: "POST",
      headers: { "x-user-id": "ana" },
    });
    return answer.status;
  } catch {
    // Cut, which tells nothing.
    return null;
  }
}

async function holding(t: Pick<TestContext, "after">, { url }: Program): Promise<Socket> {
  const { hostname: host, port } = new URL(url);
  const socket = connect({ host, port: Number(port), allowHalfOpen: true });
  socket.on("error", () => undefined).resume();
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function watch(t: Pick<TestContext, "after">, sale: Sale): Promise<Socket> {
  const socket = await holding(t, sale.program);
  socket.write(`GET /events/${sale.eventId}/stream HTTP/1.1\r\nHost: a\r\n\r\n`);
  return socket;
}
