// A replica of a Redis of the case's own: from the same binary, in a folder of its own. What it is told
// by its primary comes through a proxy, so that it can fall behind by exactly what it is not told.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { startRedis } from "@stampede/launcher";
import { startProxy, until } from "@stampede/launcher/testing";
import type { PrivateEngine } from "./private-engines.ts";
import { redisCommand } from "./redis-command.ts";

export type Replica = {
  readonly url: string;
  readonly port: number;
  /** Waits until it has all that its primary has now. */
  readonly untilEven: () => Promise<void>;
  /** From now on it hears nothing of its primary, and does not know that it does not. */
  readonly cutOff: () => void;
  /** It is a primary from now on, with what it has heard. */
  readonly promote: () => Promise<void>;
};

/** Even with its primary. */
export async function startReplica(
  t: Pick<TestContext, "after">,
  primary: PrivateEngine,
): Promise<Replica> {
  const { port: primaryPort, password } = new URL(primary.url);
  const link = await startProxy(t, { port: Number(primaryPort) });
  const dataFolder = await mkdtemp(join(tmpdir(), "stampede-replica-"));
  const running = await startRedis({ dataFolder });
  t.after(async () => {
    await running.stop();
    await rm(dataFolder, { recursive: true, force: true });
  });
  // Whoever fails over to it knows the primary's password only.
  const url = new URL(running.url);
  await redisCommand(url.href, "CONFIG", "SET", "masterauth", password);
  await redisCommand(url.href, "CONFIG", "SET", "requirepass", password);
  url.password = password;
  await redisCommand(url.href, "REPLICAOF", "127.0.0.1", String(link.port));
  const replica: Replica = {
    url: url.href,
    port: running.port,
    async untilEven() {
      await until(async () => {
        const [here, there] = [await replicationOf(url.href), await replicationOf(primary.url)];
        const linked = here.get("master_link_status") === "up";
        return linked && here.get("slave_repl_offset") === there.get("master_repl_offset");
      }, "the replica is even with its primary");
    },
    cutOff: () => link.set({ blackhole: true }),
    async promote() {
      assert.equal(await redisCommand(url.href, "REPLICAOF", "NO", "ONE"), "OK");
    },
  };
  await replica.untilEven();
  return replica;
}

async function replicationOf(url: string): Promise<ReadonlyMap<string, string>> {
  const lines = String(await redisCommand(url, "INFO", "replication")).split("\r\n");
  return new Map(lines.map((line) => line.split(":", 2) as [string, string]));
}
