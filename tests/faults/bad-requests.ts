// The bad requests of bad-input.test.ts, as bytes: no client library stands between them and the
// server. "MARK" is in whatever an answer must not repeat.

export type BadRequest = {
  readonly title: string;
  readonly request: Buffer;
  readonly status: number;
};

/** What the requests name: an open event of each mechanism, and one that is sold out. */
export type Given = {
  readonly v1: string;
  readonly v2: string;
  readonly v3: string;
  readonly soldOut: string;
  readonly host: string;
  readonly token: string;
};

type Line = { readonly headers?: readonly string[]; readonly body?: string | Buffer };

const json = "Content-Type: application/json";

/** What the parser has to refuse, or the first hook behind it. */
export function framingCases({ host, v1 }: Given): BadRequest[] {
  const raw = (title: string, status: number, text: string): BadRequest => ({
    title,
    status,
    request: Buffer.from(text.replaceAll("HOST", `Host: ${host}`), "latin1"),
  });
  const claim = `POST /v1/events/${v1}/issues HTTP/1.1\r\nHOST\r\nX-User-Id: bad\r\n`;
  const get = "GET /events HTTP/1.1\r\n";
  return [
    raw("an unknown method", 400, "BREW /MARK HTTP/1.1\r\nHOST\r\n\r\n"),
    raw("HTTP/0.9", 400, "GET /MARK\r\n\r\n"),
    raw("the HTTP/2 preface", 400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    raw("no Host", 400, `${get}Connection: close\r\n\r\n`),
    raw("two Hosts", 400, `${get}HOST\r\nHost: MARK\r\nConnection: close\r\n\r\n`),
    raw("a negative length", 400, `${claim}Content-Length: -1\r\n\r\n`),
    raw("two lengths", 400, `${claim}Content-Length: 0\r\nContent-Length: 2\r\n\r\n{}`),
    raw(
      "a length beside chunks",
      400,
      `${claim}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ),
    raw("a chunk without a size", 400, `${claim}Transfer-Encoding: chunked\r\n\r\nMARK\r\n\r\n`),
    raw("a folded header", 400, `${get}HOST\r\nX: a\r\n MARK\r\n\r\n`),
    raw("NUL in a header", 400, `${get}HOST\r\nX: a\0b\r\n\r\n`),
    raw("a bare CR in a header", 400, `${get}HOST\r\nX: a\rMARK\r\n\r\n`),
    raw("20 KiB of headers", 431, `${get}HOST\r\nX: ${"x".repeat(20_000)}\r\n\r\n`),
    raw(
      "101 header lines",
      431,
      `${get}HOST\r\nConnection: close\r\n${"X: y\r\n".repeat(100)}\r\n`,
    ),
    raw(
      "an address of 9 KiB",
      414,
      `GET /${"x".repeat(9_000)} HTTP/1.1\r\nHOST\r\nConnection: close\r\n\r\n`,
    ),
  ];
}

/** Claims whose person, body or address is wrong. */
export function claimCases(given: Given): BadRequest[] {
  const path = `/v1/events/${given.v1}/issues`;
  const claim = (title: string, status: number, line: Line): BadRequest =>
    build(given, { title, status, start: `POST ${path}`, ...line });
  const asPerson = (title: string, status: number, person: string): BadRequest =>
    claim(`person: ${title}`, status, { headers: [`X-User-Id: ${person}`] });
  const withBody = (
    title: string,
    status: number,
    body: string | Buffer,
    type = json,
  ): BadRequest =>
    claim(`claim body: ${title}`, status, { headers: ["X-User-Id: bad", type], body });
  return [
    claim("person: none", 401, {}),
    asPerson("empty", 400, ""),
    asPerson("65 characters", 400, "x".repeat(65)),
    asPerson("a space inside", 400, "MARK b"),
    asPerson("a wildcard", 400, "*"),
    asPerson("braces", 400, "{}"),
    asPerson("a colon", 400, "a:b"),
    asPerson("full-width letters", 400, "ＡＢ"),
    asPerson("a zero-width space", 400, "a\u200bb"),
    claim("person: two of them", 400, { headers: ["X-User-Id: a", "X-User-Id: b"] }),
    withBody("null", 400, "null"),
    withBody("an array", 400, "[]"),
    withBody("a user id", 400, '{"userId":"MARK"}'),
    withBody("cut short", 400, "{"),
    withBody("something after it", 400, "{} MARK"),
    withBody("a byte order mark", 400, "\ufeff{}"),
    withBody("__proto__", 400, '{"__proto__":{}}'),
    withBody("no UTF-8", 400, Buffer.from([0x7b, 0xff, 0x7d])),
    withBody("depth 100,000", 413, "[".repeat(100_000)),
    withBody("2 KiB", 413, `{"a":"${"x".repeat(2_048)}"}`),
    withBody("text", 415, "{}", "Content-Type: text/plain"),
    withBody("UTF-16", 415, "{}", "Content-Type: application/json; charset=utf-16"),
    claim("claim body: compressed", 415, {
      headers: ["X-User-Id: bad", json, "Content-Encoding: gzip"],
      body: "{}",
    }),
  ];
}

/** What an operator must not be able to do. */
export function operatorCases(given: Given): BadRequest[] {
  const operator = `Authorization: Bearer ${given.token}`;
  const right = { name: "A name", mechanism: "row-lock", limit: 1 };
  const make = (title: string, status: number, body: unknown): BadRequest =>
    build(given, {
      title: `new event: ${title}`,
      status,
      start: "POST /events",
      headers: [operator, json],
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const change = (
    title: string,
    status: number,
    { id = given.v1, headers = ['If-Match: "1"'], body = '{"name":"Other"}' } = {},
  ): BadRequest =>
    build(given, {
      title: `change: ${title}`,
      status,
      start: `PATCH /events/${id}`,
      headers: [operator, json, ...headers],
      body,
    });
  const list = (title: string, status: number, headers: readonly string[]): BadRequest =>
    build(given, { title, status, start: `GET /events/${given.v1}/issues`, headers });
  return [
    make("limit 0", 400, { ...right, limit: 0 }),
    make("limit 1,000,001", 400, { ...right, limit: 1_000_001 }),
    make("limit 1.5", 400, { ...right, limit: 1.5 }),
    make("limit as text", 400, { ...right, limit: "100" }),
    make("limit 1e400", 400, '{"name":"a","mechanism":"row-lock","limit":1e400}'),
    make("an unknown field", 400, { ...right, MARK: 1 }),
    make("NUL in the name", 400, { ...right, name: "a\0b" }),
    make(
      "half a character in the name",
      400,
      '{"name":"\\ud800","mechanism":"row-lock","limit":1}',
    ),
    make("a blank name", 400, { ...right, name: "   " }),
    make("a name of 101 characters", 400, { ...right, name: "x".repeat(101) }),
    make("an id that is none", 400, { ...right, id: "MARK" }),
    make("a mechanism that is none", 400, { ...right, mechanism: "MARK" }),
    make("no time", 400, { ...right, opensAt: "tomorrow" }),
    make("a time out of range", 400, { ...right, opensAt: "+275760-09-13T00:00:00.000Z" }),
    make("closing before opening", 400, {
      ...right,
      opensAt: "2030-01-02T00:00:00.000Z",
      closesAt: "2030-01-01T00:00:00.000Z",
    }),
    make("pace where nothing queues", 400, { ...right, pace: 5 }),
    make("no JSON", 400, "{MARK"),
    make("17 KiB", 413, { ...right, name: "x".repeat(17_000) }),
    make("an id in use", 409, { ...right, id: given.v1 }),
    change("no If-Match", 428, { headers: [] }),
    change("a weak tag", 412, { headers: ['If-Match: W/"1"'] }),
    change("any tag", 412, { headers: ["If-Match: *"] }),
    change("a stale tag", 412, { headers: ['If-Match: "2"'] }),
    change("a tag beyond int4", 412, { headers: ['If-Match: "2147483648"'] }),
    change("a tag beyond 2^53", 412, { headers: ['If-Match: "9007199254740993"'] }),
    change("a garbled tag", 412, { headers: ['If-Match: "MARK'] }),
    change("nothing", 400, { body: "{}" }),
    change("the mechanism", 400, { body: '{"mechanism":"kafka-queue"}' }),
    change("NUL in the name", 400, { body: '{"name":"a\\u0000b"}' }),
    change("a lower limit", 409, { body: '{"limit":1}' }),
    change("the limit of what is sold out", 409, { id: given.soldOut, body: '{"limit":2}' }),
    change("an unknown event", 404, { id: "nowhere" }),
    list("issues: nobody asks", 401, []),
    list("issues: a person asks", 403, ["X-User-Id: bad"]),
    list("issues: a wrong token", 401, ["Authorization: Bearer MARK"]),
    list("issues: the wrong scheme", 401, [`Authorization: Basic ${given.token}`]),
  ];
}

/** Addresses, and numbers in queries at and beyond every edge. */
export function pathCases(given: Given): BadRequest[] {
  const { v1, v3, token } = given;
  const get = (path: string, status: number, headers: readonly string[] = []): BadRequest =>
    build(given, { title: `GET ${path}`, status, start: `GET ${path}`, headers });
  const claim = (path: string, status: number): BadRequest => {
    const headers = ["X-User-Id: bad"];
    return build(given, { title: `POST ${path}`, status, start: `POST ${path}`, headers });
  };
  const me = (query: string, status: number): BadRequest =>
    get(`/events/${v3}/issues/me?${query}`, status, ["X-User-Id: bad"]);
  const issues = (query: string, status: number): BadRequest =>
    get(`/events/${v1}/issues?${query}`, status, [`Authorization: Bearer ${token}`]);
  return [
    get("/nowhere", 404),
    get("/events/+1", 404),
    get("/events/1%20OR%201=1", 404),
    get("/events/%00", 404),
    get("/events/..%2f..%2fetc%2fpasswd", 404),
    get("/events/%F0%9F%8C%B8", 404),
    get(`/events/${"x".repeat(64)}`, 404),
    get("/events/nowhere/stream", 404),
    claim("/v1/events/%00/issues", 404),
    claim("/v1/events/nowhere/issues", 404),
    claim(`/v4/events/${v1}/issues`, 404),
    claim(`/v2/events/${v1}/issues`, 409),
    claim(`/v1/events/${v3}/issues`, 409),
    get(`/v1/events/${v1}/issues`, 405),
    ...["limit=0", "limit=501", "limit=-1", "limit=abc", "limit=1e2", "limit=1&limit=2"].map(
      (query) => get(`/events?${query}`, 400),
    ),
    ...["cursor=-1", "cursor=abc", "cursor=9007199254740992", `cursor=${"9".repeat(30)}`].flatMap(
      (query) => [get(`/events?${query}`, 400), issues(query, 400)],
    ),
    // Beyond int4 and as far as JSON carries them exactly: nothing is behind them, and that is all.
    ...["cursor=2147483648", "cursor=9007199254740991"].flatMap((query) => [
      get(`/events?${query}`, 200),
      issues(query, 200),
    ]),
    me("ticket=-1", 400),
    me("ticket=1.5", 400),
    me("ticket=abc", 400),
    me("ticket=9007199254740992", 400),
    me("ticket=9007199254740991", 200),
  ];
}

function build(
  { host }: Given,
  bad: Line & { readonly title: string; readonly status: number; readonly start: string },
): BadRequest {
  const body = Buffer.from(bad.body ?? "");
  const head = [
    `${bad.start} HTTP/1.1`,
    `Host: ${host}`,
    "Connection: close",
    ...(bad.headers ?? []),
    ...(body.length > 0 || !bad.start.startsWith("GET") ? [`Content-Length: ${body.length}`] : []),
  ];
  const request = Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]);
  return { title: bad.title, status: bad.status, request };
}
