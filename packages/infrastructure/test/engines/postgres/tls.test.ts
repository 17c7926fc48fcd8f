// What sslmode means, on a real server: with a certificate that it has signed itself, and with one of an own
// CA for another name. Each test names what turns it red.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import pg from "pg";
import { startPostgres } from "@stampede/launcher";
import { missing, until } from "@stampede/launcher/testing";
import { checkPostgres } from "../../../src/engines/postgres/check.ts";
import { openPostgres } from "../../../src/engines/postgres/open.ts";
import { systemTime } from "../../../src/engines/time.ts";

const bounds = { connectionsMax: 2, waitersMax: 10, waitMsMax: 1_000, time: systemTime };
const stack = new AsyncDisposableStack();
after(async () => stack.disposeAsync());

type Server = { readonly url: string; readonly folder: string; readonly data: string };
let starting: Promise<Server> | null = null;

async function server(): Promise<Server> {
  starting ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), "stampede-tls-"));
    chmodSync(folder, 0o711);
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const { url, stop } = await startPostgres({ dataFolder: folder });
    stack.defer(stop);
    makeCertificates(folder);
    return { url, folder, data: join(folder, "postgres", "data") };
  })();
  return starting;
}

function makeCertificates(folder: string): void {
  const openssl = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const own = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  openssl("req", "-x509", ...key, "-keyout", "self.key", "-out", "self.pem", ...own);
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=our CA");
  openssl("req", ...key, "-keyout", "signed.key", "-out", "signed.csr", ...own);
  const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "1", "-copy_extensions", "copy"];
  openssl("x509", "-req", "-in", "signed.csr", ...by, "-out", "signed.pem");
}

/** From now on it shows this certificate. */
async function shows(name: "self" | "signed"): Promise<Server> {
  const at = await server();
  const { uid, gid } = statSync(at.data);
  for (const [ending, as] of [
    ["pem", "server.crt"],
    ["key", "server.key"],
  ]) {
    const path = join(at.data, as ?? "");
    copyFileSync(join(at.folder, `${name}.${ending}`), path);
    if (process.getuid?.() === 0) chownSync(path, uid, gid);
    chmodSync(path, 0o600);
  }
  const client = new pg.Client({ connectionString: at.url });
  await client.connect();
  await client.query("ALTER SYSTEM SET ssl = on");
  await client.query("SELECT pg_reload_conf()");
  await client.end();
  const signer = join(at.folder, name === "self" ? "self.pem" : "ca.pem");
  await until(
    async () => (await reach(at.url, "localhost", `sslrootcert=${signer}`)) !== null,
    "it shows its new certificate",
    { errorIsNotYet: true },
  );
  return at;
}

/** The version of TLS that it was reached by, null where by none; rejects where it was not reached. */
async function reach(url: string, host: string, query: string): Promise<string | null> {
  const to = new URL(url);
  to.hostname = host;
  to.search = query;
  await using postgres = await openPostgres({ ...bounds, url: to.href });
  const rows = await postgres.query<{ tls: string | null }>(
    "SELECT version AS tls FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
  );
  return rows[0]?.tls ?? null;
}

const UNKNOWN = /did not answer: self-signed certificate.*sslrootcert=.*no-verify/;

describe("TLS to PostgreSQL", { skip: missing("postgres") }, () => {
  const deprecated: string[] = [];
  process.on("warning", ({ message }) => deprecated.push(message));

  test("is asked for by sslmode, and looks who it is unless it is told not to", async () => {
    const { url, folder } = await shows("self");
    assert.equal(await reach(url, "localhost", "sslmode=disable"), null);
    assert.equal(await reach(url, "localhost", "sslmode=no-verify"), "TLSv1.3");
    for (const mode of ["prefer", "require", "verify-ca", "verify-full"]) {
      await assert.rejects(reach(url, "localhost", `sslmode=${mode}`), UNKNOWN);
    }
    const itself = `sslmode=verify-full&sslrootcert=${join(folder, "self.pem")}`;
    assert.equal(await reach(url, "localhost", itself), "TLSv1.3");
    assert.equal(await reach(url, "localhost", `${itself}&sslnegotiation=direct`), "TLSv1.3");
    assert.equal(await reach(url, "localhost", `${itself}&channel_binding=require`), "TLSv1.3");
    // The library speaks of a change of its own that is none of ours.
    assert.deepEqual(deprecated, []);
  });

  // Red when verify-ca is what verify-full is: Cloud SQL's certificates have no host's name.
  test("of an own CA is taken by its file, for its name, or for any by verify-ca", async () => {
    const { url, folder } = await shows("signed");
    const ca = `sslrootcert=${join(folder, "ca.pem")}`;
    assert.equal(await reach(url, "localhost", `sslmode=verify-full&${ca}`), "TLSv1.3");
    assert.equal(await reach(url, "127.0.0.1", `sslmode=verify-ca&${ca}`), "TLSv1.3");
    await assert.rejects(
      reach(url, "127.0.0.1", `sslmode=verify-full&${ca}`),
      /does not match certificate.*sslmode=verify-ca/,
    );
    await assert.rejects(
      reach(url, "127.0.0.1", `sslmode=verify-ca&sslrootcert=${join(folder, "self.pem")}`),
      /sslrootcert=/,
    );
    await assert.rejects(
      reach(url, "localhost", "sslmode=verify-full&sslrootcert=system"),
      /sslrootcert=/,
    );
  });

  test("is a line of --check", async () => {
    const { url } = await shows("self");
    const findings = await checkPostgres({ url: `${url}?sslmode=no-verify`, connectionsMax: 5 });
    assert.match(findings.find(({ what }) => what === "sign-in")?.found ?? "", /TLSv1\.3/);
    const refused = await checkPostgres({ url: `${url}?sslmode=require`, connectionsMax: 5 });
    assert.deepEqual(
      refused.map(({ what, verdict }) => [what, verdict]),
      [["use", "refused"]],
    );
    assert.match(refused[0]?.advice ?? "", /sslrootcert/);
  });
});
