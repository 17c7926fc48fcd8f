// AUTH=jwt: every wrong token of section 7 of the guarantees, at every route for a person or an
// operator, each refused alike and told nothing.
//
// Turns red when one of these goes from jwt-identity.ts: TOKEN_CHARACTERS_MAX, COMPACT_FORM,
// `authorizationLines`, BROUGHT_KEYS, TYPES, `keys().get(kid)` for any key, `alg !== found.algorithm`,
// an option of `jwtVerify`, `parseUserId`.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import {
  ADMIN,
  ask,
  assertNotLogged,
  assertUnauthenticated,
  assertUntouched,
  claimBy,
  key,
  makeEvent,
  routes,
  rsa,
  stranger,
  trusted,
} from "./support/jwt.ts";
import {
  bearer,
  encoded,
  ISSUER,
  jwkOf,
  NOW_SECONDS,
  openJwtApp,
  signatureOf,
  tokenOf,
} from "./support/tokens.ts";
import type { JwtApp, Wanted } from "./support/tokens.ts";

const [head = "", body = "", signature = ""] = tokenOf(key).split(".");
const pem = rsa.publicKey.export({ format: "pem", type: "spki" });
const pemSigned = `${encoded({ alg: "HS256", kid: "shop-rsa", typ: "JWT" })}.${body}`;
const zeroSignature = Buffer.alloc(64).toString("base64url");
const token = (wanted: Wanted): string => tokenOf(key, wanted);
const claims = (changed: Record<string, unknown>): string => token({ claims: changed });
const header = (changed: Record<string, unknown>): string => token({ header: changed });

/** What stands after "Authorization: ". */
const refused: Readonly<Record<string, string>> = {
  "an empty header": "",
  "the scheme alone": "Bearer",
  "the scheme and a space": "Bearer ",
  "the wrong scheme": `Basic ${tokenOf(key)}`,
  "no scheme": tokenOf(key),
  "two tokens in one header": `Bearer ${tokenOf(key)}, Bearer ${tokenOf(key)}`,
  "10 KiB": `Bearer ${claims({ padding: "x".repeat(10 * 1_024) })}`,
  "2 segments": `Bearer ${head}.${body}`,
  "4 segments": `Bearer ${tokenOf(key)}.${signature}`,
  "5 segments, as an encrypted one": `Bearer ${head}.${body}.${signature}.${head}.${body}`,
  "3 segments, the last one empty": `Bearer ${head}.${body}.`,
  "bad base64url in the head": `Bearer ${head.slice(0, -1)}!.${body}.${signature}`,
  "padded base64 in the signature": `Bearer ${head}.${body}.${signature}==`,
  "a length that no base64 has": `Bearer ${head}.${body}.${signature}AAA`,
  "a head that is no JSON": `Bearer ${Buffer.from("MARK").toString("base64url")}.${body}.${signature}`,
  "a body that is no object": `Bearer ${signedBody('"MARK"')}`,
  "a body that is no JSON": `Bearer ${signedBody("{MARK")}`,
  "alg none": `Bearer ${encoded({ alg: "none", kid: "shop-1", typ: "JWT" })}.${body}.${signature}`,
  "alg none, unsigned": `Bearer ${encoded({ alg: "none", kid: "shop-1", typ: "JWT" })}.${body}.`,
  "HS256 with the public key": `Bearer ${pemSigned}.${hmac(pem, pemSigned)}`,
  "ES256 under a key for RS256": `Bearer ${header({ kid: "shop-rsa" })}`,
  "PS256 under a key for RS256": `Bearer ${tokenOf({ ...rsa, algorithm: "PS256" })}`,
  "an all-zero signature": `Bearer ${head}.${body}.${zeroSignature}`,
  "another's signature": `Bearer ${tokenOf(stranger)}`,
  "another body under the signature": `Bearer ${head}.${encoded({ sub: "bo" })}.${signature}`,
  "an unknown crit": `Bearer ${header({ crit: ["MARK"], MARK: true })}`,
  "an unencoded payload": `Bearer ${header({ crit: ["b64"], b64: false })}`,
  "a jwk, well signed": `Bearer ${header({ jwk: jwkOf(key) })}`,
  "another's jwk": `Bearer ${tokenOf(stranger, { header: { jwk: jwkOf(stranger) } })}`,
  "a chain of certificates": `Bearer ${header({ x5c: ["TUFSSw=="] })}`,
  "no kid": `Bearer ${header({ kid: undefined })}`,
  "an unknown kid": `Bearer ${header({ kid: "MARK" })}`,
  "a kid that is a path": `Bearer ${header({ kid: "../../../../dev/null" })}`,
  "a kid that is SQL": `Bearer ${header({ kid: "shop-1' OR '1'='1" })}`,
  "a kid of every object": `Bearer ${header({ kid: "__proto__" })}`,
  "a kid that is a list": `Bearer ${header({ kid: ["shop-1"] })}`,
  "a type that is no text": `Bearer ${header({ typ: ["JWT"] })}`,
  "another type": `Bearer ${header({ typ: "logout+jwt" })}`,
  expired: `Bearer ${claims({ exp: NOW_SECONDS - 5 })}`,
  "no expiry": `Bearer ${claims({ exp: undefined })}`,
  "an expiry that is text": `Bearer ${claims({ exp: String(NOW_SECONDS + 300) })}`,
  "not yet valid": `Bearer ${claims({ nbf: NOW_SECONDS + 6 })}`,
  "issued in the future": `Bearer ${claims({ iat: NOW_SECONDS + 6 })}`,
  "issued more than a day ago": `Bearer ${claims({ iat: NOW_SECONDS - 86_406 })}`,
  "a time of issue that is text": `Bearer ${claims({ iat: String(NOW_SECONDS) })}`,
  "no time of issue, and an expiry in more than a day": `Bearer ${claims({ iat: undefined, exp: NOW_SECONDS + 86_406 })}`,
  "the wrong iss": `Bearer ${claims({ iss: `${ISSUER}/` })}`,
  "no iss": `Bearer ${claims({ iss: undefined })}`,
  "the wrong aud": `Bearer ${claims({ aud: "other-shop" })}`,
  "no aud": `Bearer ${claims({ aud: undefined })}`,
  "no sub": `Bearer ${claims({ sub: undefined })}`,
  "a sub that is a list": `Bearer ${claims({ sub: ["ana"] })}`,
  "a sub that is a number": `Bearer ${claims({ sub: 7 })}`,
  "an empty sub": `Bearer ${claims({ sub: "" })}`,
  "a sub of 256 characters": `Bearer ${claims({ sub: "x".repeat(256) })}`,
  "a sub with a space behind it": `Bearer ${claims({ sub: "ana " })}`,
  "a sub of full-width letters": `Bearer ${claims({ sub: "ａｎａ" })}`,
  "a sub with a letter outside ASCII": `Bearer ${claims({ sub: "provider|\u00e1na" })}`,
  "a sub with a control character": `Bearer ${claims({ sub: "ana\u0000" })}`,
};

describe("a token that is refused", () => {
  test("is told 401 on every route, changes nothing and is not logged", async (t) => {
    const opened = await openJwtApp(t, trusted, { logLevel: "trace" });
    const id = await makeEvent(opened);
    for (const [title, authorization] of Object.entries(refused)) {
      await t.test(title, async () => {
        opened.lines.length = 0;
        for (const route of routes(id)) {
          assertUnauthenticated(await ask(opened, route, { authorization }), authorization);
        }
        await assertUntouched(opened, id);
        assertNotLogged(opened, authorization);
      });
    }
  });

  test("that is missing is answered 401 on every route, without the error of a wrong one", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    for (const route of routes(id)) {
      const answer = await ask(opened, route, {});
      assertUnauthenticated(answer, null);
    }
    await assertUntouched(opened, id);
  });

  test("in the query is answered 401", async (t) => {
    const opened = await openJwtApp(t, trusted, { logLevel: "trace" });
    const id = await makeEvent(opened);
    for (const route of routes(id)) {
      for (const name of ["access_token", "token", "jwt"]) {
        const url = `${route.url}?${name}=${tokenOf(key, ADMIN)}`;
        assertUnauthenticated(await ask(opened, { ...route, url }, {}), null);
      }
    }
    await assertUntouched(opened, id);
    assertNotLogged(opened, tokenOf(key, ADMIN));
  });

  test("in two headers is answered 401, whichever of them is right", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    await opened.app.listen({ host: "127.0.0.1", port: 0 });
    const good = `Authorization: Bearer ${tokenOf(key, ADMIN)}`;
    for (const lines of [
      [good, good],
      [good, "Authorization: Bearer x"],
      ["authorization: Basic eA==", good],
    ]) {
      for (const start of [`GET /events/${id}/issues`, `POST /v1/events/${id}/issues`]) {
        const status = await rawStatus(opened, [`${start} HTTP/1.1`, ...lines]);
        assert.equal(status, 401, `${start} ${lines.join(" | ")}`);
      }
    }
    assert.equal(await rawStatus(opened, [`GET /events/${id}/issues HTTP/1.1`, good]), 200);
  });

  test("cannot be replaced by an ADMIN_TOKEN or an X-User-Id", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    for (const route of routes(id)) {
      const admin = { authorization: "Bearer a-token-for-tests-only" };
      assertUnauthenticated(await ask(opened, route, admin), admin.authorization);
      assertUnauthenticated(await ask(opened, route, { "x-user-id": "ana" }), null);
    }
  });

  test("that points to keys elsewhere makes nobody ask for them", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    let asked = 0;
    const elsewhere = createServer((_request, response) => {
      asked += 1;
      response.end(JSON.stringify({ keys: [jwkOf(stranger)] }));
    });
    elsewhere.listen(0, "127.0.0.1");
    await once(elsewhere, "listening");
    t.after(() => elsewhere.close());
    const url = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/keys.json`;
    for (const member of ["jku", "x5u"]) {
      for (const signer of [key, stranger]) {
        const pointing = bearer(tokenOf(signer, { header: { [member]: url, kid: url } }));
        assertUnauthenticated(await claimBy(opened, id, pointing), pointing.authorization);
        const known = bearer(tokenOf(signer, { header: { [member]: url } }));
        assertUnauthenticated(await claimBy(opened, id, known), known.authorization);
      }
    }
    assert.equal(asked, 0);
  });
});

async function rawStatus({ app }: JwtApp, lines: readonly string[]): Promise<number> {
  const { port } = app.server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1");
  const text = [...lines, "Host: here", "Content-Length: 0", "Connection: close", "", ""];
  socket.setEncoding("utf8").write(text.join("\r\n"));
  let received = "";
  socket.on("data", (chunk: string) => {
    received += chunk;
  });
  await once(socket, "close");
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(received)?.[1]);
}

function signedBody(text: string): string {
  const signed = `${head}.${Buffer.from(text).toString("base64url")}`;
  return `${signed}.${signatureOf(key, signed)}`;
}

function hmac(secret: string, text: string): string {
  return createHmac("sha256", secret).update(text).digest("base64url");
}
