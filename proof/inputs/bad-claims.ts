// Claims whose person or body is wrong: each mechanism has a route of its own for them.
import { build, json } from "./bad-requests.ts";
import type { BadRequest, Given, Line } from "./bad-requests.ts";

export function claimCases(given: Given): BadRequest[] {
  return (["v1", "v2", "v3"] as const).flatMap((version) => {
    const claim = (title: string, status: number, line: Line): BadRequest =>
      build(given, {
        title: `${version} ${title}`,
        status,
        start: `POST /${version}/events/${given[version]}/issues`,
        ...line,
      });
    return [...personCases(claim), ...bodyCases(claim)];
  });
}

/** The question what became of a claim judges persons as the claim does. */
export function statusCases(given: Given): BadRequest[] {
  const ask = (title: string, status: number, line: Line): BadRequest =>
    build(given, {
      title: `me ${title}`,
      status,
      start: `GET /events/${given.v1}/issues/me`,
      ...line,
    });
  return personCases(ask);
}

type Case = (title: string, status: number, line: Line) => BadRequest;

function personCases(of: Case): BadRequest[] {
  const as = (title: string, person: string): BadRequest =>
    of(`person: ${title}`, 400, { headers: [`X-User-Id: ${person}`] });
  return [
    of("person: none", 401, {}),
    of("person: in the query of nothing, in another header", 401, { headers: ["X-User: MARK"] }),
    of("person: as a bearer", 401, { headers: ["Authorization: Bearer MARK"] }),
    of("person: two of them", 400, { headers: ["X-User-Id: a", "X-User-Id: b"] }),
    of("person: the same twice", 400, { headers: ["X-User-Id: a", "x-user-id: a"] }),
    as("empty", ""),
    as("256 characters", "x".repeat(256)),
    as("8 KiB", "x".repeat(8_192)),
    as("a space inside", "MARK b"),
    as("a tab inside", "MARK\tb"),
    as("two names in one line", "MARK, b"),
    as("a display name", "MARK <mark@shop.example>"),
    as("a distinguished name", "CN=MARK, O=Shop"),
    as("a delete character", "MARK\u007f"),
    as("an escape sequence", "\u001b[2J MARK"),
    as("a bell", "MARK\u0007"),
    as("a next-line character", "MARK\u0085"),
    as("a no-break space", "MARK\u00a0b"),
    as("a soft hyphen", "MARK\u00ad"),
    as("SQL", "'; DROP TABLE coupon_issues; --MARK"),
    as("Lua", "redis.call('FLUSHALL') --MARK"),
    as("RESP", "$4 MARK"),
    as("a script", "<script src=MARK></script>"),
    as("JSON", '{"$ne": "MARK"}'),
    as("full-width letters", "ＡＢ"),
    as("a letter with an accent", "jos\u00e9"),
    as("an emoji", "\u{1f338}"),
    as("a zero-width space", "a\u200bb"),
    as("a mark that turns the reading direction", "a\u202eb"),
    as("a line separator", "a\u2028b"),
  ];
}

function bodyCases(of: Case): BadRequest[] {
  const withBody = (
    title: string,
    status: number,
    body: string | Buffer,
    type: readonly string[] = [json],
  ): BadRequest => of(`body: ${title}`, status, { headers: ["X-User-Id: bad", ...type], body });
  const typed = (type: string, body = "{}"): BadRequest =>
    withBody(`as ${type}`, 415, body, [`Content-Type: ${type}`]);
  const compressed = (coding: string): BadRequest =>
    withBody(`compressed by ${coding}`, 415, "{}", [json, `Content-Encoding: ${coding}`]);
  return [
    withBody("null", 400, "null"),
    withBody("true", 400, "true"),
    withBody("a number", 400, "1"),
    withBody("a text", 400, '"MARK"'),
    withBody("an array", 400, "[]"),
    withBody("a user id", 400, '{"userId":"MARK"}'),
    withBody("a field without a name", 400, '{"":"MARK"}'),
    withBody("cut short", 400, "{"),
    withBody("something after it", 400, "{} MARK"),
    withBody("two of them", 400, "{}{}"),
    withBody("a comment", 400, "{/*MARK*/}"),
    withBody("a comma alone", 400, "{,}"),
    withBody("single quotes", 400, "{'a':'MARK'}"),
    withBody("NaN", 400, "NaN"),
    withBody("spaces alone", 400, "  "),
    withBody("a byte order mark", 400, "\ufeff{}"),
    withBody("__proto__", 400, '{"__proto__":{}}'),
    withBody("constructor.prototype", 400, '{"constructor":{"prototype":{"MARK":1}}}'),
    withBody("no UTF-8", 400, Buffer.from([0x7b, 0xff, 0x7d])),
    withBody("an overlong NUL", 400, Buffer.from([0x7b, 0xc0, 0x80, 0x7d])),
    withBody("half a character", 400, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])),
    withBody("NUL", 400, "{}\0"),
    withBody("UTF-16", 400, Buffer.from("{}", "utf16le")),
    withBody("depth 500", 400, "[".repeat(500)),
    withBody("depth 100,000", 413, "[".repeat(100_000)),
    withBody("1,025 bytes", 413, `{"a":"${"x".repeat(1_017)}"}`),
    withBody("1 MB", 413, "x".repeat(1_000_000)),
    withBody("without a type", 415, "{}", []),
    typed("text/plain"),
    typed("text/json"),
    typed("application/jsonp"),
    typed("application/problem+json"),
    typed("application/x-www-form-urlencoded", "userId=MARK"),
    typed("multipart/form-data; boundary=MARK", "--MARK--"),
    typed("application/xml", '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    typed("application/json; charset=utf-16"),
    typed("application/json; charset=latin1"),
    typed("application/json; charset=euc-kr"),
    typed("application/json, text/plain"),
    typed(";"),
    compressed("gzip"),
    compressed("br"),
    compressed("identity"),
    compressed("MARK"),
  ];
}
