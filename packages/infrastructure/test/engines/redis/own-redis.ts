import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { startRedis } from "@stampede/launcher";

/** A Redis that a test may kill, flush and misconfigure; the one that tests share is not. */
export type OwnRedis = {
  readonly url: string;
  /** Kills it without a word and starts it again on the same file and port. */
  restart(): Promise<void>;
  /** The same, with an empty disk. */
  restartEmpty(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
};

export async function startOwnRedis(t: TestContext): Promise<OwnRedis> {
  const dataFolder = await mkdtemp(join(tmpdir(), "stampede-redis-"));
  let running = await startRedis({ dataFolder });
  const { port, url } = running;
  const kill = async (): Promise<void> => {
    process.kill(running.pid, "SIGKILL");
    await running.exited;
  };
  const start = async (): Promise<void> => {
    running = await startRedis({ dataFolder, port });
  };
  t.after(async () => {
    await running.stop();
    await rm(dataFolder, { recursive: true, force: true });
  });
  return {
    url,
    kill,
    start,
    async restart() {
      await kill();
      await start();
    },
    async restartEmpty() {
      await kill();
      await rm(join(dataFolder, "redis", "appendonly.aof"), { force: true });
      await rm(join(dataFolder, "redis", "appendonlydir"), { recursive: true, force: true });
      await start();
    },
  };
}
