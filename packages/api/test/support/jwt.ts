// What the tests of AUTH=jwt ask, and what a refused token must and must not get.
import assert from "node:assert/strict";
import type { InjectOptions, LightMyRequestResponse } from "fastify";
import type { TestApp } from "./app.ts";
import { bearer, signingKey, tokenOf } from "./tokens.ts";
import type { JwtApp } from "./tokens.ts";

export const key = signingKey("shop-1");
export const rsa = signingKey("shop-rsa", "RS256");
/** Somebody else's, of the same name. */
export const stranger = signingKey("shop-1");
export const trusted = [key, rsa];
export const ADMIN = { claims: { sub: "operator", scope: "openid stampede:admin" } };

export type Route = InjectOptions & { readonly url: string };

/** Each route for a person or an operator. */
export const routes = (id: string): readonly Route[] => [
  { method: "POST", url: `/v1/events/${id}/issues` },
  { method: "GET", url: `/events/${id}/issues/me` },
  ...operatorRoutes(id),
];

export const operatorRoutes = (id: string): readonly Route[] => [
  { method: "POST", url: "/events", payload: { name: "A", mechanism: "row-lock", limit: 1 } },
  { method: "PATCH", url: `/events/${id}`, payload: { name: "B" }, headers: { "if-match": '"1"' } },
  { method: "GET", url: `/events/${id}/issues` },
];

/** Makes an event of five coupons as an operator. */
export async function makeEvent(
  opened: JwtApp,
  claims: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const answer = await opened.app.inject({
    method: "POST",
    url: "/events",
    headers: bearer(tokenOf(key, { claims: { ...ADMIN.claims, ...claims } })),
    payload: { id: "spring", name: "Spring", mechanism: "row-lock", limit: 5 },
  });
  assert.equal(answer.statusCode, 201, answer.body);
  return "spring";
}

export async function claimBy(
  { app }: TestApp,
  id: string,
  headers: Record<string, string>,
): Promise<LightMyRequestResponse> {
  return app.inject({ method: "POST", url: `/v1/events/${id}/issues`, headers });
}

export async function ask(
  { app }: TestApp,
  route: Route,
  headers: Record<string, string>,
): Promise<LightMyRequestResponse> {
  return app.inject({ ...route, headers: { ...route.headers, ...headers } });
}

export function assertUnauthenticated(
  answer: LightMyRequestResponse,
  authorization: string | null,
): void {
  assert.equal(answer.statusCode, 401, answer.body);
  assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
  const wrong = authorization === null ? "" : ', error="invalid_token"';
  assert.equal(answer.headers["www-authenticate"], `Bearer realm="stampede"${wrong}`);
  assert.deepEqual(answer.json(), {
    type: "/problems/unauthenticated",
    title: "Unauthenticated",
    status: 401,
    detail: "Say who you are: see WWW-Authenticate.",
  });
}

export async function assertUntouched(opened: JwtApp, id: string): Promise<void> {
  const event = (await opened.app.inject({ url: `/events/${id}` })).json<Record<string, unknown>>();
  assert.deepEqual([event["issued"], event["version"], event["name"]], [0, 1, "Spring"]);
  const list = (await opened.app.inject({ url: "/events" })).json<{ events: unknown[] }>();
  assert.equal(list.events.length, 1);
}

export function assertNotLogged({ lines }: JwtApp, authorization: string): void {
  assert.ok(lines.length > 0, "refusals are logged at this level");
  const log = lines.join("");
  for (const piece of ["MARK", ...authorization.split(/[ .,]+/).filter((one) => one.length > 20)]) {
    assert.ok(!log.includes(piece), `the log shows ${piece}`);
  }
}
