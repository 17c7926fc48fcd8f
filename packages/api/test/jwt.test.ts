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
  assertUntouched,
  claimBy,
  key,
  makeEvent,
  operatorRoutes,
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

  for (const algorithm of ["ES256", "RS256", "PS256", "EdDSA"] as const) {
    test(`is signed by ${algorithm}`, async (t) => {
      const signer = signingKey("a", algorithm);
      const opened = await openJwtApp(t, [signer, key]);
      const id = await makeEvent(opened);
      assert.equal((await claimBy(opened, id, bearer(tokenOf(signer)))).statusCode, 201);
    });
  }

  const accepted: Readonly<Record<string, Wanted>> = {
    "an access token's type": { header: { typ: "at+jwt" } },
    "a type written in full": { header: { typ: "application/at+JWT" } },
    "one audience among others": { claims: { aud: ["other-shop", AUDIENCE] } },
    "a clock that is 4 s ahead of ours": { claims: { iat: NOW_SECONDS + 4, nbf: NOW_SECONDS + 4 } },
    "an expiry 4 s ago, within the tolerance": { claims: { exp: NOW_SECONDS - 4 } },
    "an age of a day": { claims: { iat: NOW_SECONDS - 86_400 } },
    "a thumbprint, which leads nowhere": { header: { x5t: "TUFSSw" } },
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

describe("an operator", async () => {
  test("is a person whose token's scope holds stampede:admin", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    for (const scope of ["stampede:admin", "openid stampede:admin profile"]) {
      const operator = bearer(tokenOf(key, { claims: { scope } }));
      const answer = await ask(opened, { url: `/events/${id}/issues` }, operator);
      assert.equal(answer.statusCode, 200, scope);
    }
  });

  test("a known person without it gets 403 on every operator route", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    const scopes = [
      undefined,
      "",
      "stampede:administrator",
      "xstampede:admin",
      "STAMPEDE:ADMIN",
      "stampede:admin,openid",
      ["stampede:admin"],
      { "stampede:admin": true },
    ];
    for (const scope of scopes) {
      const person = bearer(tokenOf(key, { claims: { scope } }));
      for (const route of operatorRoutes(id)) {
        const answer = await ask(opened, route, person);
        assert.equal(answer.statusCode, 403, JSON.stringify(scope));
        assert.equal(answer.json<{ type: string }>().type, "/problems/forbidden");
        assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
      }
    }
    await assertUntouched(opened, id);
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
