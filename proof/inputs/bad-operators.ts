// What an operator must not be able to do, and nobody else.
import { build, json } from "./bad-requests.ts";
import type { BadRequest, Given } from "./bad-requests.ts";

const right = { name: "A name", mechanism: "row-lock", limit: 1 };
const window = (opensAt: unknown, closesAt: unknown): object => ({ opensAt, closesAt });

/** Fields that are wrong in a new event and in a change, as JSON texts. */
const wrongFields: Readonly<Record<string, string>> = {
  "limit 0": '"limit":0',
  "limit -1": '"limit":-1',
  "limit 1,000,001": '"limit":1000001',
  "limit 2^53": '"limit":9007199254740992',
  "limit 1.5": '"limit":1.5',
  "limit as text": '"limit":"100"',
  "limit 1e400": '"limit":1e400',
  "limit null": '"limit":null',
  "limit true": '"limit":true',
  "limit in a list": '"limit":[1]',
  "an unknown field": '"MARK":1',
  "a field of the answer": '"issued":0',
  __proto__: '"__proto__":{"limit":5}',
  "constructor.prototype": '"constructor":{"prototype":{"limit":5}}',
  "NUL in the name": '"name":"a\\u0000b"',
  "a line's end in the name": '"name":"a\\r\\nb"',
  "ESC in the name": '"name":"\\u001b[31m"',
  "half a character in the name": '"name":"\\ud800"',
  "the other half in the name": '"name":"\\udc00a"',
  "an empty name": '"name":""',
  "a blank name": '"name":"   "',
  "a name of zero-width spaces": '"name":"\\u200b\\u200b"',
  "a name that is a filler": '"name":"\\u3164"',
  "a name of empty braille cells": '"name":"\\u2800"',
  "a name that is a soft hyphen": '"name":"\\u00ad"',
  "a name of tags": '"name":"\\udb40\\udc41\\udb40\\udc42"',
  "a name that is a mark alone": '"name":"\\u0301"',
  "a name that is a byte order mark": '"name":"\\ufeff"',
  "a name that turns the direction for ever": '"name":"\\u202eMARK"',
  "a name that ends a turn which it did not begin": '"name":"MARK\\u2069"',
  "a name of 101 characters": `"name":"${"x".repeat(101)}"`,
  "a name that is a number": '"name":1',
  "a name that is null": '"name":null',
  "a word for a time": '"opensAt":"tomorrow"',
  "a number for a time": '"opensAt":1',
  "an empty time": '"opensAt":""',
  "a time without a zone": '"opensAt":"2030-01-01T00:00:00"',
  "a time with a leap second": '"opensAt":"2030-12-31T23:59:60Z"',
  "a time in small letters": '"opensAt":"2030-01-01t00:00:00z"',
  "a time at 24:00": '"opensAt":"2030-01-01T24:00:00Z"',
  "a time whose offset has no minutes": '"opensAt":"2030-01-01T00:00:00+09"',
  "a time without seconds": '"opensAt":"2030-01-01T00:00Z"',
  "a day without a time": '"opensAt":"2030-01-01"',
  "a year of five digits": '"opensAt":"12030-01-01T00:00:00Z"',
  "an offset of a day": '"opensAt":"2030-01-01T00:00:00+24:00"',
  "a time with the zone's name": '"opensAt":"2030-01-01T00:00:00[MARK]"',
  "a field named twice": '"paused":true,"paused":false',
  "a day that is none": '"opensAt":"2030-02-30T00:00:00.000Z"',
  "a month that is none": '"opensAt":"2030-13-01T00:00:00.000Z"',
  "a time before 1970": '"opensAt":"1969-12-31T23:59:59.000Z"',
  "a time beyond 9999": '"opensAt":"+275760-09-13T00:00:00.000Z"',
  "a time that cannot be": '"closesAt":"+275760-09-13T00:00:00.001Z"',
  "a closing that is a number": '"closesAt":1e99',
  "pace where nothing queues": '"pace":5',
  "pace 0": '"pace":0',
  "pace 1.5": '"pace":1.5',
  "pace as text": '"pace":"5"',
};

export function operatorCases(given: Given): BadRequest[] {
  return [...newEventCases(given), ...changeCases(given), ...credentialCases(given)];
}

function newEventCases(given: Given): BadRequest[] {
  const make = (
    title: string,
    status: number,
    body: unknown,
    headers: readonly string[] = [json],
  ): BadRequest =>
    build(given, {
      title: `new event: ${title}`,
      status,
      start: "POST /events",
      headers: [operatorOf(given), ...headers],
      body: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    });
  const fields = ['"name":"A name"', '"mechanism":"row-lock"', '"limit":1'];
  const base = fields.join(",");
  const keyOf = (field: string): string => field.split(":", 1)[0] ?? "";
  // In its place, not beside it: a field that is named twice is refused for that.
  const withField = (wrong: string): string =>
    `{${[...fields.filter((field) => keyOf(field) !== keyOf(wrong)), wrong].join(",")}}`;
  return [
    ...Object.entries(wrongFields).map(([title, field]) => make(title, 400, withField(field))),
    make("nothing", 400, ""),
    make("no fields", 400, {}),
    make("null", 400, "null"),
    make("a list of it", 400, [right]),
    make("no name", 400, { ...right, name: undefined }),
    make("no limit", 400, { ...right, limit: undefined }),
    make("no mechanism", 400, { ...right, mechanism: undefined }),
    make("an id that is none", 400, { ...right, id: "MARK" }),
    make("an empty id", 400, { ...right, id: "" }),
    make("an id of 64 characters", 400, { ...right, id: "x".repeat(64) }),
    make("an id with a slash", 400, { ...right, id: "a/b" }),
    make("an id that is a number", 400, { ...right, id: 7 }),
    make("an id with a line's end", 400, { ...right, id: "a\n" }),
    make("a mechanism that is none", 400, { ...right, mechanism: "MARK" }),
    make("a mechanism that is inherited", 400, { ...right, mechanism: "toString" }),
    make("closing before opening", 400, {
      ...right,
      ...window("2030-01-02T00:00:00.000Z", "2030-01-01T00:00:00.000Z"),
    }),
    make("closing as it opens", 400, {
      ...right,
      ...window("2030-01-02T00:00:00.000Z", "2030-01-02T01:00:00.000+01:00"),
    }),
    make("pace 1,000,001", 400, { ...right, mechanism: "kafka-queue", pace: 1_000_001 }),
    make("no JSON", 400, "{MARK"),
    make("something after it", 400, `${JSON.stringify(right)}MARK`),
    make("depth 8,000", 400, `{${base},"name":${"[".repeat(8_000)}`),
    make(
      "three bytes of a character of four",
      400,
      Buffer.from(`{${base.replace("A name", "\xf0\x9f\x8c")}}`, "latin1"),
    ),
    make("17 KiB", 413, { ...right, name: "x".repeat(17_000) }),
    make("as text", 415, right, ["Content-Type: text/plain"]),
    make("as a form", 415, "name=MARK", ["Content-Type: application/x-www-form-urlencoded"]),
    make("without a type", 415, right, []),
    make("compressed", 415, right, [json, "Content-Encoding: gzip"]),
    make("in EUC-KR", 415, right, ["Content-Type: application/json; charset=euc-kr"]),
    make("in UTF-16", 415, right, ["Content-Type: application/json; charset=utf-16"]),
    make(
      "a limit named twice",
      400,
      '{"name":"A name","mechanism":"row-lock","limit":1,"limit":2}',
    ),
    make("a field named twice, once in escapes", 400, `{${base},"li\\u006dit":2}`),
    make("an id in use", 409, { ...right, id: given.v1 }),
    make("an id in use, otherwise", 409, {
      ...right,
      id: given.v3,
      limit: 5,
      mechanism: "kafka-queue",
    }),
  ];
}

function changeCases(given: Given): BadRequest[] {
  const change = (
    title: string,
    status: number,
    { id = given.v1, headers = ['If-Match: "1"'], body = '{"name":"Other"}' } = {},
  ): BadRequest =>
    build(given, {
      title: `change: ${title}`,
      status,
      start: `PATCH /events/${id}`,
      headers: [operatorOf(given), json, ...headers],
      body,
    });
  const tagged = (title: string, tag: string): BadRequest =>
    change(title, 412, { headers: [`If-Match: ${tag}`] });
  return [
    ...Object.entries(wrongFields).map(([title, field]) =>
      change(title, 400, { body: `{${field}}` }),
    ),
    change("nothing", 400, { body: "{}" }),
    change("an empty body", 400, { body: "" }),
    change("a list", 400, { body: "[]" }),
    change("the mechanism", 400, { body: '{"mechanism":"kafka-queue"}' }),
    change("the id", 400, { body: '{"id":"other"}' }),
    change("the version", 400, { body: '{"version":7}' }),
    change("paused as text", 400, { body: '{"paused":"true"}' }),
    change("paused as null", 400, { body: '{"paused":null}' }),
    change("closing before the opening that is", 400, {
      body: '{"closesAt":"2000-01-01T00:00:00.000Z"}',
    }),
    change("a lower limit", 409, { body: '{"limit":1}' }),
    change("the limit of what is sold out", 409, { id: given.soldOut, body: '{"limit":2}' }),
    change("an unknown event", 404, { id: "nowhere" }),
    change("an id that is none", 404, { id: "MARK" }),
    change("no If-Match", 428, { headers: [] }),
    tagged("a weak tag", 'W/"1"'),
    tagged("any tag", "*"),
    tagged("an empty tag", '""'),
    tagged("no tag at all", ""),
    tagged("a stale tag", '"2"'),
    tagged("tag 0", '"0"'),
    tagged("a negative tag", '"-1"'),
    tagged("a tag with zeros before it", '"01"'),
    tagged("a tag with a fraction", '"1.0"'),
    tagged("a tag beyond int4", '"2147483648"'),
    tagged("a tag beyond 2^53", '"9007199254740993"'),
    tagged("a garbled tag", '"MARK'),
    tagged("a tag without quotes", "1"),
    tagged("a list of tags", '"1", "2"'),
    tagged("SQL", "\"1\" OR '1'='1'"),
    change("two tags", 412, { headers: ['If-Match: "1"', 'If-Match: "2"'] }),
  ];
}

/** Every operator's route, with what is no operator's credential. */
function credentialCases(given: Given): BadRequest[] {
  const routes = [
    { start: "POST /events", body: JSON.stringify(right) },
    { start: `PATCH /events/${given.v1}`, body: '{"name":"Other"}' },
    { start: `GET /events/${given.v1}/issues` },
  ];
  const who: readonly (readonly [string, number, readonly string[]])[] = [
    ["nobody", 401, []],
    ["a person", 403, ["X-User-Id: bad"]],
    ["a wrong token", 401, ["Authorization: Bearer MARK"]],
    ["a wrong token, and a person", 401, ["Authorization: Bearer MARK", "X-User-Id: bad"]],
    ["the wrong scheme", 401, [`Authorization: Basic ${given.token}`]],
    ["no scheme", 401, [`Authorization: ${given.token}`]],
    ["no token", 401, ["Authorization: Bearer"]],
    ["the token but its end", 401, [`Authorization: Bearer ${given.token.slice(0, -1)}`]],
    ["the token twice", 401, [`Authorization: Bearer ${given.token} ${given.token}`]],
    ["a token of 8 KiB", 401, [`Authorization: Bearer ${"x".repeat(8_192)}`]],
    ["the token as a cookie", 401, [`Cookie: token=${given.token}`]],
  ];
  return routes.flatMap(({ start, ...body }) =>
    who.map(([title, status, headers]) =>
      build(given, {
        title: `${start.split(" ", 1)[0]} as an operator: ${title}`,
        status,
        start,
        headers: [json, 'If-Match: "1"', ...headers],
        ...body,
      }),
    ),
  );
}

function operatorOf({ token }: Given): string {
  return `Authorization: Bearer ${token}`;
}
