// Redis as other people set it up: any settings, users, TLS; none of ours.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createClient } from "redis";
import { findRedis, freePort } from "@stampede/launcher";
import { openRedis } from "../../../src/engines/redis/open.ts";
import type { Redis, RedisTls } from "../../../src/engines/redis/open.ts";
import { systemTime } from "../../../src/engines/time.ts";

export type OtherRedis = {
  readonly port: number;
  readonly folder: string;
  /** Asks it as its operator; its first user may do everything unless `settings` say otherwise. */
  operator(...command: readonly string[]): Promise<unknown>;
  kill(): Promise<void>;
  start(): Promise<void>;
};

export type OtherOptions = {
  /** Lines of redis.conf. */
  readonly settings?: readonly string[];
  /** What its operator signs in with; null where nobody can be asked (TLS alone). */
  readonly operatorUrl?: (port: number) => string | null;
};

const READY_MS_MAX = 20_000;

/** Starts it on a free port of 127.0.0.1 without any file, password or limit but what `settings` say. */
export async function startOtherRedis(
  t: TestContext,
  { settings = [], operatorUrl = plainUrl }: OtherOptions = {},
): Promise<OtherRedis> {
  const program = await findRedis();
  const folder = mkdtempSync(join(tmpdir(), "stampede-other-redis-"));
  const port = await freePort();
  const usual = settings.some((line) => line.startsWith("port ")) ? [] : [`port ${port}`];
  const lines = ["bind 127.0.0.1", "dir ./", 'save ""', ...usual, ...settings];
  writeFileSync(
    join(folder, "redis.conf"),
    lines.map((line) => line.replace("PORT", String(port))).join("\n"),
  );
  let child = spawnServer();
  t.after(async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  });
  function spawnServer() {
    return spawn(program, ["redis.conf"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  }
  async function untilReady(): Promise<void> {
    let text = "";
    const late = AbortSignal.timeout(READY_MS_MAX);
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      text += String(chunk);
      if (/Ready to accept connections/.test(text)) break;
      if (late.aborted) break;
    }
    child.stdout.resume();
    if (!/Ready to accept connections/.test(text)) throw new Error(`Redis did not start: ${text}`);
  }
  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  await untilReady();
  return {
    port,
    folder,
    kill,
    async start() {
      child = spawnServer();
      await untilReady();
    },
    async operator(...command) {
      const url = operatorUrl(port);
      if (url === null) throw new Error("nobody operates this Redis");
      const client = createClient({ url, socket: { reconnectStrategy: false } });
      client.on("error", () => undefined);
      await client.connect();
      try {
        return await client.sendCommand([...command]);
      } finally {
        client.destroy();
      }
    },
  };
}

export function urlOf({ port }: OtherRedis): string {
  return plainUrl(port);
}

/** Opens it as the service does; `told` is all that it says of it. */
export async function openTelling(
  t: TestContext,
  url: string,
  tls?: RedisTls,
): Promise<{ readonly redis: Redis; readonly told: readonly string[] }> {
  const told: string[] = [];
  const redis = await openRedis({
    url,
    tls,
    time: systemTime,
    random: Math.random,
    onRefused: ({ message }) => told.push(message),
    onWarning: (message) => told.push(message),
  });
  t.after(async () => redis.close());
  return { redis, told };
}

function plainUrl(port: number): string {
  return `redis://127.0.0.1:${port}`;
}

export type Certificates = {
  readonly folder: string;
  /** What clients are to trust. */
  readonly ca: string;
  /** The lines of redis.conf that make it speak TLS, and nothing else. */
  readonly settings: readonly string[];
  /** A client's own, signed by the same authority. */
  readonly client: { readonly cert: string; readonly key: string };
};

/** False where certificates can be made, else the reason, as `missing` tells it of an engine. */
export function missingOpenssl(): string | false {
  if (spawnSync("openssl", ["version"]).status === 0) return false;
  const reason = "openssl is missing, which makes the certificates: apt-get install openssl";
  if (process.env["STAMPEDE_NO_SKIPS"] === "1") throw new Error(reason);
  return reason;
}

/** A certificate for 127.0.0.1 and localhost by an authority of its own, or signed by itself. */
export function makeCertificates(
  t: TestContext,
  { selfSigned = false, names = "IP:127.0.0.1,DNS:localhost", days = "2" } = {},
): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "stampede-certificates-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  };
  const making = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
  ];
  openssl(
    ...making,
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt",
    "-days",
    "2",
    "-subj",
    "/CN=Own authority",
  );
  const signed = selfSigned ? [] : ["-CA", "ca.crt", "-CAkey", "ca.key"];
  for (const [name, subject] of [
    ["server", "/CN=redis"],
    ["client", "/CN=stampede"],
  ] as const) {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.crt`];
    const about = ["-days", days, "-subj", subject, "-addext", `subjectAltName=${names}`];
    openssl(...making, ...files, ...about, ...signed);
  }
  const text = (name: string): string => readFileSync(join(folder, name), "utf8");
  return {
    folder,
    ca: text(selfSigned ? "server.crt" : "ca.crt"),
    client: { cert: text("client.crt"), key: text("client.key") },
    settings: [
      "port 0",
      "tls-port PORT",
      `tls-cert-file ${join(folder, "server.crt")}`,
      `tls-key-file ${join(folder, "server.key")}`,
      `tls-ca-cert-file ${join(folder, selfSigned ? "server.crt" : "ca.crt")}`,
      "tls-auth-clients no",
    ],
  };
}
