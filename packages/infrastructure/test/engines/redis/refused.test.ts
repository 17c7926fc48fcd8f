// Why a Redis is not used is told, in its own words and with what to change: once, and when it changes.
// Red when an error of a connection is kept to ourselves (`notReached` in news.ts).
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { connect, createServer as createTcpServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { missing, until } from "@stampede/launcher/testing";
import {
  makeCertificates,
  missingOpenssl,
  openTelling,
  startOtherRedis,
  urlOf,
} from "./other-redis.ts";
import type { OtherRedis } from "./other-redis.ts";

type Case = {
  readonly title: string;
  readonly open: (t: TestContext) => Promise<string> | string;
  readonly told: RegExp;
  /** Whether it needs a certificate. */
  readonly certified?: boolean;
};

const withPassword = async (t: TestContext): Promise<OtherRedis> =>
  startOtherRedis(t, {
    settings: ["requirepass right"],
    operatorUrl: (port) => `redis://:right@127.0.0.1:${port}`,
  });

/** Its second port, ten thousand above the first, may be anybody's: then another pair is tried. */
async function inCluster(t: TestContext, tries = 5): Promise<OtherRedis> {
  try {
    return await startOtherRedis(t, { settings: ["cluster-enabled yes"] });
  } catch (error) {
    if (tries <= 1) throw error;
    return inCluster(t, tries - 1);
  }
}

/** Whether Redis keeps a connection that is held from now on. */
async function takesConnection(t: TestContext, port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  socket.write("PING\r\n");
  const answer = await new Promise<string>((resolve) => {
    socket.once("data", (bytes: Buffer) => resolve(bytes.toString()));
    socket.once("close", () => resolve("closed"));
  });
  if (answer.startsWith("+PONG")) return true;
  socket.destroy();
  return false;
}

const cases: readonly Case[] = [
  {
    title: "a wrong password",
    open: async (t) => `redis://:wrong@127.0.0.1:${(await withPassword(t)).port}`,
    told: /answers "WRONGPASS .*put the right user and password into REDIS_URL/,
  },
  {
    title: "an unknown user",
    open: async (t) => `redis://ana:right@127.0.0.1:${(await withPassword(t)).port}`,
    told: /answers "WRONGPASS /,
  },
  {
    title: "no password where one is wanted",
    open: async (t) => `redis://127.0.0.1:${(await withPassword(t)).port}`,
    told: /answers "NOAUTH .*put the right user and password into REDIS_URL/,
  },
  {
    title: "a password where none is known",
    open: async (t) => `redis://:any@127.0.0.1:${(await startOtherRedis(t)).port}`,
    told: /answers "ERR AUTH .*take the password out of REDIS_URL/,
  },
  {
    title: "a database that is not there",
    open: async (t) => `${urlOf(await startOtherRedis(t))}/99`,
    told: /answers "ERR (?:DB index is out of range|invalid DB index).*at the end of REDIS_URL/,
  },
  {
    title: "no connection left",
    async open(t) {
      const redis = await startOtherRedis(t);
      await redis.operator("CONFIG", "SET", "maxclients", "1");
      // The operator's own connection may not be gone yet.
      await until(async () => takesConnection(t, redis.port), "the only connection is taken");
      return urlOf(redis);
    },
    told: /max number of clients reached": raise maxclients/,
  },
  {
    title: "a host that nobody knows",
    open: () => "redis://no-such-host.invalid:6379",
    told: /no-such-host\.invalid"\): no address is known for this host/,
  },
  {
    title: "a port where nothing listens",
    open: () => "redis://localhost:1",
    told: /ECONNREFUSED [^)]*:1"\): nothing listens there/,
  },
  {
    title: "a web server",
    open: async (t) => `redis://127.0.0.1:${await listening(t, createServer())}`,
    told: /what listens there is no Redis/,
  },
  {
    title: "something that speaks first",
    open: async (t) =>
      `redis://127.0.0.1:${await listening(
        t,
        createTcpServer((socket) => socket.write("SSH-2.0-x\r\n")),
      )}`,
    told: /what listens there is no Redis/,
  },
  {
    title: "something that never answers",
    open: async (t) => `redis://127.0.0.1:${await listening(t, createTcpServer())}`,
    told: /no answer within 2000 ms"\): it hangs, or a firewall/,
  },
  {
    title: "TLS spoken to a web server without it",
    open: async (t) => `rediss://127.0.0.1:${await listening(t, createServer())}`,
    told: /"wrong version number"\): this port speaks no TLS/,
  },
  {
    // It says so to whoever comes from another machine, so somebody says it in its place.
    title: "protected mode",
    open: async (t) => {
      const denied = "-DENIED Redis is running in protected mode because it is\r\n";
      const server = createTcpServer((socket) => socket.end(denied));
      return `redis://127.0.0.1:${await listening(t, server)}`;
    },
    told: /answers "DENIED .*set a password in Redis/,
  },
  {
    title: "cluster mode",
    open: async (t) => urlOf(await inCluster(t)),
    told: /Redis runs in cluster mode: let REDIS_URL lead to a Redis without cluster mode/,
  },
  {
    title: "cluster mode with a database",
    open: async (t) => `${urlOf(await inCluster(t))}/1`,
    told: /Redis runs in cluster mode/,
  },
  {
    title: "too few replicas",
    open: async (t) => urlOf(await startOtherRedis(t, { settings: ["min-replicas-to-write 1"] })),
    told: /answers "NOREPLICAS .*bring its replicas back/,
  },
  {
    title: "a disk that it cannot write to",
    async open(t) {
      const redis = await startOtherRedis(t, { settings: ["save 3600 1"] });
      rmSync(redis.folder, { recursive: true });
      await redis.operator("SET", "key", "1");
      await redis.operator("BGSAVE");
      const failed = async (): Promise<boolean> =>
        String(await redis.operator("INFO", "persistence")).includes("bgsave_status:err");
      await until(failed, "it could not save");
      return urlOf(redis);
    },
    told: /answers "MISCONF .*look at its disk/,
  },
  {
    title: "a script of somebody that does not end",
    async open(t) {
      const redis = await startOtherRedis(t, { settings: ["lua-time-limit 50"] });
      redis.operator("EVAL", "while true do end", "0").catch(() => undefined);
      const busy = async (): Promise<boolean> =>
        redis.operator("GET", "key").then(
          () => false,
          (error) => String(error.message).startsWith("BUSY"),
        );
      await until(busy, "it is busy");
      return urlOf(redis);
    },
    told: /answers "BUSY .*SCRIPT KILL/,
  },
  {
    title: "a certificate that nobody has vouched for",
    certified: true,
    open: async (t) => overTls(t, { selfSigned: true }),
    told: /"self-signed certificate.*in REDIS_CA/,
  },
  {
    title: "a certificate by an authority of one's own",
    certified: true,
    open: async (t) => overTls(t, {}),
    told: /"self-signed certificate in certificate chain.*in REDIS_CA/,
  },
  {
    title: "a port that wants TLS",
    certified: true,
    open: async (t) => (await overTls(t, {})).replace("rediss:", "redis:"),
    told: /its port speaks TLS and wants rediss:/,
  },
];

describe("a Redis that is not used", { skip: missing("redis") }, () => {
  for (const { title, open, told: expected, certified } of cases) {
    test(`says why: ${title}`, { skip: certified === true && missingOpenssl() }, async (t) => {
      const { redis, told } = await openTelling(t, await open(t));
      await until(() => told.some((line) => expected.test(line)), "why is told", { msMax: 5_000 });
      assert.equal(redis.isUp(), false);
    });
  }

  test("names each command that its user may not give", async (t) => {
    const server = await startOtherRedis(t);
    const rights = ["~*", "+@all", "-hset", "-scan", "-evalsha", "-unlink"];
    await server.operator("ACL", "SETUSER", "few", "on", ">secret", ...rights);
    const { told } = await openTelling(t, `redis://few:secret@127.0.0.1:${server.port}`);
    assert.match(told.join(), /does not allow EVALSHA, HSET, SCAN, UNLINK: "NOPERM /);
  });

  test("tells it once, however often it is tried, again when it changes, and when it is used", async (t) => {
    const server = await startOtherRedis(t, { settings: ["appendonly yes"] });
    await server.operator("ACL", "SETUSER", "ana", "on", ">old", "~*", "+@all", "-get");
    const { redis, told } = await openTelling(t, `redis://ana:new@127.0.0.1:${server.port}`);
    await tried(server, 4);
    assert.deepEqual(told.length, 1);
    await server.operator("ACL", "SETUSER", "ana", ">new");
    await until(() => told.length === 2, "the next reason is told");
    assert.match(told[1] ?? "", /does not allow GET/);
    await server.operator("ACL", "SETUSER", "ana", "+get");
    await until(() => redis.isUp(), "it is used");
    await until(() => told.length === 3, "that is told");
    assert.equal(told[2], "Redis is used again");
  });

  test("does not see what INFO would tell where it is not allowed, warns, and is used", async (t) => {
    for (const settings of [['rename-command INFO ""', 'rename-command CONFIG ""'], []]) {
      const server = await startOtherRedis(t, { settings });
      const rights = ["~stampede:*", "+@all", "-@dangerous"];
      await server.operator("ACL", "SETUSER", "few", "on", ">secret", ...rights);
      const { redis, told } = await openTelling(t, `redis://few:secret@127.0.0.1:${server.port}`);
      assert.equal(redis.isUp(), true);
      assert.match(told.join(), /does not allow INFO: .*see to it yourself that maxmemory-policy/);
    }
  });
});

/** Waits until so many more connections have come. */
async function tried(server: OtherRedis, times: number): Promise<void> {
  const count = async (): Promise<number> => {
    const info = String(await server.operator("INFO", "stats"));
    return Number(/total_connections_received:(?<n>\d+)/.exec(info)?.groups?.["n"]);
  };
  const before = await count();
  let own = 1;
  await until(async () => (await count()) - before - (own += 1) >= times, "it was tried again");
}

async function overTls(
  t: TestContext,
  certificate: Parameters<typeof makeCertificates>[1],
): Promise<string> {
  const { settings } = makeCertificates(t, certificate);
  const { port } = await startOtherRedis(t, { settings, operatorUrl: () => null });
  return `rediss://127.0.0.1:${port}`;
}

async function listening(t: TestContext, server: Server): Promise<number> {
  server.on("connection", (socket) => {
    socket.on("error", () => undefined);
    t.after(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return port;
}
