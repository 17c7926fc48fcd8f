// Addresses, and numbers in queries at and beyond every edge.
import { build } from "./bad-requests.ts";
import type { BadRequest, Given } from "./bad-requests.ts";

/** Event ids that are none, as they stand in a path. */
const wrongIds = [
  "+1",
  "-a",
  "A",
  "_",
  "MARK",
  "%20",
  "%00",
  "%0d%0aX:%20MARK",
  "%1b[31mMARK",
  "1%20OR%201=1",
  "'%3b--MARK",
  "..%2f..%2fetc%2fpasswd",
  "%2e%2e",
  "*",
  "$%7bMARK%7d",
  "%7b%7d",
  "__proto__",
  "toString",
  "%F0%9F%8C%B8",
  "%E2%80%A8",
  "%E2%80%AE",
  "%EF%BC%A1",
  "a.b",
  "a:b",
  "a%2fb",
  "x".repeat(64),
  "x".repeat(4_000),
];
/** Percent signs that stand for no text: nothing was asked for. */
const undecodable = ["%", "%z", "%zz", "%ff", "%c0%80", "%ed%a0%80", "%F0%9F"];
const noNumbers = ["-1", "+1", "1.5", "1e2", "0x1", "abc", "", "%20", "%00", "1%20", "NaN", "null"];
const tooLarge = ["9007199254740992", "18446744073709551616", "9".repeat(30)];

export function pathCases(given: Given): BadRequest[] {
  const { v1, v2, v3, token } = given;
  const person = ["X-User-Id: bad"];
  const operator = [`Authorization: Bearer ${token}`];
  const ask = (start: string, status: number, headers: readonly string[] = []): BadRequest =>
    build(given, { title: titleOf(start), status, start, headers });
  const get = (path: string, status: number, headers: readonly string[] = []): BadRequest =>
    ask(`GET ${path}`, status, headers);
  const claim = (path: string, status: number): BadRequest => ask(`POST ${path}`, status, person);
  const me = (query: string, status: number): BadRequest =>
    get(`/events/${v3}/issues/me?${query}`, status, person);
  const issues = (query: string, status: number): BadRequest =>
    get(`/events/${v1}/issues?${query}`, status, operator);
  return [
    get("/nowhere", 404),
    get("/events/", 404),
    get("//events", 404),
    get("/./events", 404),
    get("/../../../etc/passwd", 404),
    get("/..%2f..%2fpackage.json", 404),
    get("/vendor/uplot/..%2f..%2fpackage.json", 404),
    get("/vendor/uplot/../../package.json", 404),
    get("/.env", 404),
    get("/EVENTS", 404),
    get("/events;limit=0", 404),
    get("/v1", 404),
    get("/v99/events", 404),
    ...wrongIds.map((id) => get(`/events/${id}`, 404)),
    ...wrongIds.map((id) => get(`/events/${id}/stream`, 404)),
    ...wrongIds.map((id) => claim(`/v1/events/${id}/issues`, 404)),
    ...undecodable.map((id) => get(`/events/${id}`, 400)),
    ...undecodable.map((id) => claim(`/v2/events/${id}/issues`, 400)),
    get("/events/nowhere", 404),
    get("/events/nowhere/stream", 404),
    get("/events/nowhere/issues/me", 404, person),
    get("/events/nowhere/issues", 404, operator),
    ...["v1", "v2", "v3"].map((version) => claim(`/${version}/events/nowhere/issues`, 404)),
    claim(`/v99/events/${v1}/issues`, 404),
    claim(`/events/${v1}/issues/me/you`, 404),
    ...[`/v2/events/${v1}`, `/v3/events/${v1}`, `/v1/events/${v2}`, `/v3/events/${v2}`].map(
      (path) => claim(`${path}/issues`, 409),
    ),
    ...[`/v1/events/${v3}`, `/v2/events/${v3}`].map((path) => claim(`${path}/issues`, 409)),
    get(`/v1/events/${v1}/issues`, 405),
    claim(`/events/${v1}/issues`, 405),
    claim(`/events/${v1}/issues/me`, 405),
    claim(`/events/${v1}/stream`, 405),
    claim("/healthz", 405),
    ask(`PUT /v1/events/${v1}/issues`, 405),
    ...["0", "501", ...noNumbers, ...tooLarge].flatMap((limit) => [
      get(`/events?limit=${limit}`, 400),
      issues(`limit=${limit}`, 400),
    ]),
    ...[...noNumbers, ...tooLarge].flatMap((cursor) => [
      get(`/events?cursor=${cursor}`, 400),
      issues(`cursor=${cursor}`, 400),
      me(`ticket=${cursor}`, 400),
    ]),
    get("/events?limit=1&limit=2", 400),
    get("/events?cursor=1&cursor=2", 400),
    me("ticket=1&ticket=2", 400),
    // Beyond int4 and as far as JSON carries them exactly: nothing is behind them, and that is all.
    ...["cursor=2147483648", "cursor=9007199254740991"].flatMap((query) => [
      get(`/events?${query}`, 200),
      issues(query, 200),
    ]),
    me("ticket=9007199254740991", 200),
  ];
}

function titleOf(start: string): string {
  return start.length <= 100 ? start : `${start.slice(0, 80)}... (${start.length} characters)`;
}
