// AUTH=jwt: whose token makes an operator, by which of its claims.
//
// Red when a claim is not compared word by word, or when a claim counts that the settings do not name.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JwtRules } from "../src/jwt-rules.ts";
import { ask, assertUntouched, key, makeEvent, operatorRoutes, trusted } from "./support/jwt.ts";
import { bearer, openJwtApp, tokenOf } from "./support/tokens.ts";
import type { Wanted } from "./support/tokens.ts";

describe("an operator", () => {
  test("is a person whose token's scope holds stampede:admin", async (t) => {
    const opened = await openJwtApp(t, trusted);
    const id = await makeEvent(opened);
    for (const scope of ["stampede:admin", "openid stampede:admin profile"]) {
      const operator = bearer(tokenOf(key, { claims: { scope } }));
      const answer = await ask(opened, { url: `/events/${id}/issues` }, operator);
      assert.equal(answer.statusCode, 200, scope);
    }
  });

  const rights: readonly (readonly [string, Wanted["claims"], Partial<JwtRules>])[] = [
    ["a scope that is a list", { scope: ["openid", "stampede:admin"] }, {}],
    ["scp, a text", { scp: "user_impersonation stampede:admin" }, {}],
    ["scp, a list", { scp: ["stampede:admin"] }, {}],
    ["permissions", { permissions: ["read:events", "stampede:admin"] }, {}],
    ["roles", { roles: ["Admin"] }, { operatorClaims: ["roles"], operatorScope: "Admin" }],
    [
      "roles inside of another claim",
      { realm_access: { roles: ["stampede:admin"] } },
      { operatorClaims: ["realm_access.roles"] },
    ],
    [
      "a claim with an address for its name",
      { "https://shop.example/roles": ["op"] },
      { operatorClaims: ["https://shop.example/roles"], operatorScope: "op" },
    ],
  ];
  for (const [title, claims = {}, rules] of rights) {
    test(`may have the right by ${title}`, async (t) => {
      const opened = await openJwtApp(t, trusted, { rules });
      const right = await ask(
        opened,
        { url: "/events/none/issues" },
        bearer(tokenOf(key, { claims })),
      );
      assert.equal(right.statusCode, 404);
      // The same word elsewhere, or as a part of another one, gives no right.
      for (const [name, value] of Object.entries(claims)) {
        const part = JSON.parse(
          JSON.stringify(value).replaceAll(/(stampede:admin|Admin|op)"/g, '$1s"'),
        );
        for (const wrong of [{ [name]: part }, { [`x_${name}`]: value }, { name: value }]) {
          const token = bearer(tokenOf(key, { claims: wrong }));
          const answer = await ask(opened, { url: "/events/none/issues" }, token);
          assert.equal(answer.statusCode, 403, JSON.stringify(wrong));
        }
      }
    });
  }

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
      ["openid stampede:admin"],
      [["stampede:admin"]],
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
