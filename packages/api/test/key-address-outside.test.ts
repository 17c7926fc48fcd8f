// Keys at an https:// address with a certificate of one's own authority, and through one's proxy: both are
// said by the environment that Node reads at its start, so a process asks.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createProxy } from "node:http";
import { createServer } from "node:https";
import { connect } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { keySetText, signingKey } from "./support/tokens.ts";

const NAME = "sign-in.example";
const skip = opensslMissing();

test("an address with a certificate of one's own authority", { skip }, async (t) => {
  const { port, certificate } = await openSignIn(t);
  const url = `https://localhost:${port}/keys`;
  const stranger = await askedBy(url, {});
  assert.match(
    stranger,
    /^has a certificate that is not trusted \([A-Z_]+\): name its authority's/,
  );
  assert.equal(await askedBy(url, { NODE_EXTRA_CA_CERTS: certificate }), "key old");
  // The name counts, too: the certificate is none of this one's.
  const other = `https://127.0.0.1:${port}/keys`;
  const elsewhere = await askedBy(other, { NODE_EXTRA_CA_CERTS: certificate });
  assert.match(
    elsewhere,
    /^has a certificate that is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
  );
});

test("an address that only the proxy can reach", { skip }, async (t) => {
  const { port, certificate } = await openSignIn(t);
  const asked: string[] = [];
  const proxy = createProxy();
  proxy.on("connect", (request, socket, head) => {
    asked.push(String(request.url));
    const onward = connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    for (const end of [socket, onward]) end.on("error", () => undefined);
  });
  const proxyPort = await listening(t, proxy);
  const url = `https://${NAME}/keys`;
  const environment = {
    NODE_EXTRA_CA_CERTS: certificate,
    NODE_USE_ENV_PROXY: "1",
    HTTPS_PROXY: `http://127.0.0.1:${proxyPort}`,
  };
  assert.equal(await askedBy(url, environment), "key old");
  assert.deepEqual(asked, [`${NAME}:443`]);
});

/** A sign-in whose certificate is for NAME and localhost, by an authority that nobody knows. */
async function openSignIn(
  t: TestContext,
): Promise<{ readonly port: number; readonly certificate: string }> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-sign-in-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const names = `subjectAltName=DNS:${NAME},DNS:localhost`;
  const kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(" ");
  const { status, stderr } = spawnSync("openssl", [
    ...kind,
    "-subj",
    `/CN=${NAME}`,
    "-addext",
    names,
    "-keyout",
    key,
    "-out",
    certificate,
  ]);
  assert.equal(status, 0, String(stderr));
  const files = { key: readFileSync(key), cert: readFileSync(certificate) };
  const server = createServer(files, (_request, response) => {
    response.end(keySetText([signingKey("old")]));
  });
  return { port: await listening(t, server), certificate };
}

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function askedBy(
  url: string,
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const script = join(import.meta.dirname, "support", "print-keys.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [script, url], {
    env: { PATH: process.env["PATH"], ...environment },
    timeout: 60_000,
  });
  return stdout;
}

function opensslMissing(): string | false {
  if (spawnSync("openssl", ["version"]).status === 0) return false;
  const reason = "openssl is missing: install it (apt-get install openssl)";
  if (process.env["STAMPEDE_NO_SKIPS"] === "1") throw new Error(reason);
  return reason;
}
