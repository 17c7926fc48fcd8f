// AUTH=jwt: whose a right token is, and what it allows.
//
// Turns red when `X-User-Id` is read before the token (B45), when a `sub` is trimmed or lower-cased
// (B46), when the scope is not compared word by word, when a verified token is kept beyond its expiry,
// and when the keys are read once only.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openApp } from "./support/app.ts";
import {
  ADMIN,
  ask,
  assertUnauthenticated,
  claimBy,
  key,
  makeEvent,
  rsa,
  stranger,
  trusted,
} from "./support/jwt.ts";
import {
  AUDIENCE,
  bearer,
  NOW_SECONDS,
  openJwtApp,
  signingKey,
  tokenOf,
} from "./support/tokens.ts";
import type { Wanted } from "./support/tokens.ts";
import { ALGORITHMS } from "../src/jwt-keys.ts";
import { refusalTeller } from "../src/told-refusals.ts";

describe("a valid token", () => {
  test("makes its sub the person, whatever X-User-Id says", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    const anas = { ...bearer(tokenOf(key)), "x-user-id": "bo" };
    const issued = await claimBy(opened, id, anas);
    assert.equal(issued.statusCode, 201);
    const status = await ask(opened, { url: `/events/${id}/issues/me` }, bearer(tokenOf(key)));
    assert.deepEqual(status.json(), issued.json());
    const bos = bearer(tokenOf(key, { claims: { sub: "bo" } }));
    const others = await ask(opened, { url: `/events/${id}/issues/me` }, bos);
    assert.deepEqual(others.json(), { eventId: id, status: "none" });
    const list = await ask(opened, { url: `/events/${id}/issues` }, bearer(tokenOf(key, ADMIN)));
    assert.equal(list.json<{ issues: { userId: string }[] }>().issues[0]?.userId, "ana");
  });

  test("takes ids that differ by case for two persons", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    for (const sub of ["ana", "Ana"]) {
      const answer = await claimBy(opened, id, bearer(tokenOf(key, { claims: { sub } })));
      assert.equal(answer.statusCode, 201, sub);
    }
  });

  for (const algorithm of ALGORITHMS) {
    test(`is signed by ${algorithm}`, async (t) => {
      const signer = signingKey("a", algorithm);
      const opened = await openJwtApp(t, [signer, key]);
      const id = await makeEvent(opened);
      assert.equal((await claimBy(opened, id, bearer(tokenOf(signer)))).statusCode, 201);
    });
  }

  test("of a key for EdDSA may say Ed25519, and the other way round", async (t) => {
    const [one, other] = [signingKey("a", "EdDSA"), signingKey("b", "Ed25519")];
    const opened = await openJwtApp(t, [key, one, other]);
    const id = await makeEvent(opened);
    for (const [signer, alg] of [
      [one, "Ed25519"],
      [other, "EdDSA"],
    ] as const) {
      const answer = await claimBy(opened, id, bearer(tokenOf(signer, { header: { alg } })));
      assert.ok(answer.statusCode < 300, alg);
    }
  });

  for (const sub of [
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "google-oauth2|103547991597142817347",
    "ana+shop@example.com",
    "urn:example:person:ana",
    "https://id.example/users?u=7&x=%20#me",
    "AAAAAAAAAAAAAAAAAAAAAB8zX7d2/+=",
    `"'\\{}<>`,
    "x".repeat(255),
  ]) {
    test(`makes the person ${sub.slice(0, 40)}, as it stands`, async (t) => {
      const opened = await openJwtApp(t, trusted);
      const id = await makeEvent(opened);
      const persons = bearer(tokenOf(key, { claims: { sub } }));
      assert.equal((await claimBy(opened, id, persons)).statusCode, 201);
      const list = await ask(opened, { url: `/events/${id}/issues` }, bearer(tokenOf(key, ADMIN)));
      assert.equal(list.json<{ issues: { userId: string }[] }>().issues[0]?.userId, sub);
    });
  }

  test("may name no key where there is one only, whose name it may not know either", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    const nameless = bearer(tokenOf(key, { header: { kid: undefined } }));
    assertUnauthenticated(await claimBy(opened, id, nameless), nameless.authorization);
    opened.trust([key]);
    assert.equal((await claimBy(opened, id, nameless)).statusCode, 201);
    const another = bearer(tokenOf(key, { header: { kid: "another" } }));
    assertUnauthenticated(await claimBy(opened, id, another), another.authorization);
    opened.trust([{ ...key, kid: "" }]);
    assert.equal((await claimBy(opened, id, another)).statusCode, 200);
    assert.equal((await claimBy(opened, id, nameless)).statusCode, 200);
    assertUnauthenticated(await claimBy(opened, id, bearer(tokenOf(stranger))), "");
  });

  test("may be signed by any key of its name", async (t) => {
    const opened = await openJwtApp(t, [stranger, key, rsa]);
    const id = await makeEvent(opened);
    assert.equal((await claimBy(opened, id, bearer(tokenOf(key)))).statusCode, 201);
    const third = bearer(tokenOf(signingKey("shop-1")));
    assertUnauthenticated(await claimBy(opened, id, third), third.authorization);
  });

  test("must have what the settings require, and may be as old as they allow", async (t) => {
    const rules = { required: ["typ", "iat", "jti"], ageSecondsMax: 2 * 86_400 };
    const opened = await openJwtApp(t, trusted, { rules, logLevel: "debug" });
    const id = await makeEvent(opened, { jti: "1" });
    const told = async (wanted: Wanted): Promise<string> => {
      opened.lines.length = 0;
      const { statusCode } = await claimBy(opened, id, bearer(tokenOf(key, wanted)));
      const why = /"why":"(?<why>[^"]*)"/.exec(opened.lines.join(""))?.groups?.["why"];
      return why ?? String(statusCode);
    };
    const jti = "1";
    assert.equal(await told({ claims: { jti } }), "201");
    assert.equal(await told({ claims: { jti, iat: NOW_SECONDS - 2 * 86_400 } }), "200");
    const old = { jti, iat: NOW_SECONDS - 2 * 86_400 - 6 };
    assert.equal(await told({ claims: old }), "it is older than JWT_MAX_AGE_HOURS");
    assert.equal(await told({}), "it has no jti");
    assert.equal(await told({ claims: { jti, iat: undefined } }), "it has no iat");
    const untyped = { header: { typ: undefined }, claims: { jti } };
    assert.equal(await told(untyped), "it has no typ, which JWT_REQUIRE wants");
  });

  // Red when an operator has to raise the log's level to learn that all of the shop's tokens are refused.
  test("that is refused for the way the sign-in is set up is told once a minute for each reason", async (t) => {
    let nowMs = 0;
    const told: string[] = [];
    const onRefused = refusalTeller(
      () => nowMs,
      (refused, why) => told.push(`${refused}: ${why}`),
    );
    const opened = await openJwtApp(t, trusted, { onRefused });
    const id = await makeEvent(opened);
    const send = async (claims: Wanted["claims"] = {}): Promise<unknown> =>
      claimBy(opened, id, bearer(tokenOf(key, { claims })));
    for (let n = 0; n < 3; n += 1) await send({ aud: "MARK" });
    await send({ iss: "MARK" });
    await send({ exp: NOW_SECONDS - 60 });
    await claimBy(opened, id, {});
    await claimBy(opened, id, bearer("x"));
    await claimBy(opened, id, bearer(tokenOf(stranger)));
    await send();
    const [aud, iss] = ["aud", "iss"].map((claim) => `its ${claim} is another one than JWT_`);
    assert.deepEqual(told, [`1: ${aud}AUDIENCE`, `1: ${iss}ISSUER`]);
    nowMs += 60_000;
    await send({ aud: "MARK" });
    assert.deepEqual(told.slice(2), [`3: ${aud}AUDIENCE`]);
  });

  // Red when the log says less than somebody needs who has set it up wrongly.
  test("that is wrong is told in the log, for the one who set it up", async (t) => {
    const opened = await openJwtApp(t, trusted, { logLevel: "debug" });
    const id = await makeEvent(opened);
    const reasons: readonly (readonly [Wanted, string])[] = [
      [{ claims: { exp: NOW_SECONDS - 60 } }, "it has expired"],
      [{ claims: { exp: undefined } }, "it has no exp"],
      [{ claims: { aud: "MARK" } }, "its aud is another one than JWT_AUDIENCE"],
      [{ claims: { aud: undefined } }, "it has no aud"],
      [{ claims: { iss: "MARK" } }, "its iss is another one than JWT_ISSUER"],
      [{ claims: { nbf: NOW_SECONDS + 60 } }, "it is not valid yet (nbf)"],
      [{ claims: { iat: NOW_SECONDS + 60 } }, "its iat is in the future"],
      [{ claims: { sub: "a MARK" } }, "its sub is not 1 to 255 visible ASCII characters"],
      [{ header: { kid: "MARK" } }, "no key has its kid"],
      [{ header: { kid: undefined } }, "it names no key by a kid, and there are several"],
      [{ header: { kid: "shop-rsa" } }, "its key has another algorithm"],
      [{ header: { typ: "MARK" } }, "its typ is another type's than an access token's"],
    ];
    for (const [wanted, why] of reasons) {
      opened.lines.length = 0;
      await claimBy(opened, id, bearer(tokenOf(key, wanted)));
      const log = opened.lines.join("");
      assert.ok(log.includes(`"why":"${why}"`), `${why}: ${log}`);
      assert.ok(!log.includes("MARK"), log);
    }
  });

  const accepted: Readonly<Record<string, Wanted>> = {
    "an access token's type": { header: { typ: "at+jwt" } },
    "a type written in full": { header: { typ: "application/at+JWT" } },
    "one audience among others": { claims: { aud: ["other-shop", AUDIENCE] } },
    "a clock that is 4 s ahead of ours": { claims: { iat: NOW_SECONDS + 4, nbf: NOW_SECONDS + 4 } },
    "an expiry 4 s ago, within the tolerance": { claims: { exp: NOW_SECONDS - 4 } },
    "an age of a day": { claims: { iat: NOW_SECONDS - 86_400 } },
    "a thumbprint, which leads nowhere": { header: { x5t: "TUFSSw" } },
    "no type": { header: { typ: undefined } },
    "no time of issue": { claims: { iat: undefined } },
    "no time of issue, and an expiry in a day": {
      claims: { iat: undefined, exp: NOW_SECONDS + 86_400 },
    },
    "an expiry with a fraction": { claims: { exp: NOW_SECONDS + 0.5 } },
  };
  for (const [title, wanted] of Object.entries(accepted)) {
    test(`may have ${title}`, async (t) => {
      const opened = await openJwtApp(t, trusted);
      const id = await makeEvent(opened);
      assert.equal((await claimBy(opened, id, bearer(tokenOf(key, wanted)))).statusCode, 201);
    });
  }

  test("makes its sub the person also for a crowd at one instant, from one address", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    const persons = Array.from({ length: 200 }, (_, n) => `p-${n}`);
    const answers = await Promise.all(
      persons.map((sub) => claimBy(opened, id, bearer(tokenOf(key, { claims: { sub } })))),
    );
    const issued = answers.filter(({ statusCode }) => statusCode === 201);
    assert.equal(issued.length, 5);
    assert.ok(answers.every(({ statusCode }) => statusCode === 201 || statusCode === 409));
  });

  test("is refused once it has expired, also where it was accepted before", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    const anas = bearer(tokenOf(key));
    assert.equal((await claimBy(opened, id, anas)).statusCode, 201);
    opened.tokenClock.nowMs += 305_000;
    assertUnauthenticated(await claimBy(opened, id, anas), anas.authorization);
  });

  test("may be signed by either key during a rotation, and only by the new one after it", async (t) => {
    const opened = await openJwtApp(t, [key]);
    const id = await makeEvent(opened);
    const next = signingKey("shop-2", "EdDSA");
    const [old, fresh] = [bearer(tokenOf(key)), bearer(tokenOf(next))];
    const statuses = async (): Promise<readonly number[]> => [
      (await claimBy(opened, id, old)).statusCode,
      (await claimBy(opened, id, fresh)).statusCode,
    ];
    assert.deepEqual(await statuses(), [201, 401]);
    opened.trust([key, next]);
    assert.deepEqual(await statuses(), [200, 200]);
    opened.trust([next]);
    assert.deepEqual(await statuses(), [401, 200]);
  });
});

test("the page is told to ask for a token, by the same rules as ever", async (t) => {
  const { app } = await openJwtApp(t, trusted);
  for (const url of ["/", "/index.html"]) {
    const page = await app.inject({ url });
    assert.equal(page.statusCode, 200);
    assert.match(String(page.headers["content-type"]), /^text\/html/);
    assert.match(String(page.headers["content-security-policy"]), /default-src 'none'/);
    assert.match(page.body, /<html data-auth="jwt" lang="en">/);
  }
  assert.equal((await app.inject({ url: "/app.js" })).statusCode, 200);
  assert.equal((await app.inject({ url: "/desk.html" })).statusCode, 200);
  const dev = await openApp(t);
  assert.ok(!(await dev.app.inject({ url: "/" })).body.includes("data-auth"));
});

test("the description says how to sign in", async (t) => {
  const { app } = await openJwtApp(t, trusted);
  const description = (await app.inject({ url: "/openapi.json" })).json<{
    components: { securitySchemes: Record<string, Record<string, string>> };
    paths: Record<string, Record<string, { security?: unknown }>>;
  }>();
  const { person, operator } = description.components.securitySchemes;
  assert.deepEqual(person, { type: "http", scheme: "bearer", bearerFormat: "JWT" });
  assert.match(String(operator?.["description"]), /stampede:admin/);
  const { paths } = description;
  assert.deepEqual(paths["/v1/events/{id}/issues"]?.["post"]?.security, [{ person: [] }]);
  assert.deepEqual(paths["/events"]?.["post"]?.security, [{ operator: [] }]);
});
