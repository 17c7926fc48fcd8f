// What the parser has to refuse, or the first hook behind it.
import { raw as rawOf } from "./bad-requests.ts";
import type { BadRequest, Given } from "./bad-requests.ts";

type Raw = (title: string, statuses: number | readonly number[], text: string) => BadRequest;

export function framingCases(given: Given): BadRequest[] {
  const raw: Raw = (title, statuses, text) => rawOf(given, `framing: ${title}`, statuses, text);
  return [
    ...startLineCases(raw, given),
    ...headerCases(raw),
    ...lengthCases(raw, given),
    ...chunkCases(raw, given),
    ...bodyCases(raw, given),
  ];
}

function startLineCases(raw: Raw, { v1 }: Given): BadRequest[] {
  const close = "HOST\r\nConnection: close\r\n\r\n";
  const of = (title: string, status: number, line: string): BadRequest =>
    raw(title, status, `${line}\r\n${close}`);
  return [
    of("an unknown method", 400, "BREW /MARK HTTP/1.1"),
    of("a method in small letters", 400, "get /events HTTP/1.1"),
    of("a method of 9 KiB", 400, `${"X".repeat(9_000)} / HTTP/1.1`),
    of("DELETE, which nothing takes", 405, "DELETE /events HTTP/1.1"),
    of("PUT, which nothing takes", 405, `PUT /events/${v1} HTTP/1.1`),
    of("TRACE, which would echo", 405, `TRACE /v1/events/${v1}/issues HTTP/1.1`),
    of("OPTIONS, so no other site is let in", 405, "OPTIONS /events HTTP/1.1"),
    of("OPTIONS for the server as a whole", 404, "OPTIONS * HTTP/1.1"),
    of("PROPFIND", 405, "PROPFIND /events HTTP/1.1"),
    of("CONNECT to another host", 405, "CONNECT MARK.example:443 HTTP/1.1"),
    of("CONNECT to a path", 405, "CONNECT /MARK HTTP/1.1"),
    of("an asterisk for an address", 400, "GET * HTTP/1.1"),
    of("a whole URL that is not there", 404, "GET http://MARK.example/MARK HTTP/1.1"),
    of("a whole URL by a method that it does not take", 405, "POST http://MARK/healthz HTTP/1.1"),
    of("a whole URL of another scheme", 404, "GET ftp://MARK/healthz HTTP/1.1"),
    raw("HTTP/0.9", 400, "GET /MARK\r\n\r\n"),
    of("a line that says HTTP/0.9", 400, "GET /MARK HTTP/0.9"),
    of("HTTP/1.2", 400, "GET /MARK HTTP/1.2"),
    of("a line that says HTTP/2.0", 400, "GET /events HTTP/2.0"),
    of("HTTP/11", 400, "GET /MARK HTTP/11"),
    of("http in small letters", 400, "GET /MARK http/1.1"),
    of("another protocol", 400, "GET /MARK GOPHER/1.0"),
    of("no version after the space", 400, "GET /MARK "),
    raw("the HTTP/2 preface", 400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    of("a space in the address", 400, "GET /events MARK HTTP/1.1"),
    of("a tab in the address", 400, "GET /events\tMARK HTTP/1.1"),
    of("NUL in the address", 400, "GET /events\0MARK HTTP/1.1"),
    of("DEL in the address", 400, "GET /events/\x7f HTTP/1.1"),
    of("a byte beyond ASCII in the address", 400, "GET /events/\xe9 HTTP/1.1"),
    of("an address without a slash", 400, "GET MARK HTTP/1.1"),
    of("an address that is host and port", 400, "GET MARK:80 HTTP/1.1"),
    of("an address of 9 KiB", 414, `GET /${"x".repeat(9_000)} HTTP/1.1`),
    of("an address of 20 KiB", 431, `GET /${"x".repeat(20_000)} HTTP/1.1`),
    of("a query of 9 KiB", 414, `GET /events?cursor=${"9".repeat(9_000)} HTTP/1.1`),
    raw("a hello of TLS", 400, "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03MARK"),
    raw("a hello of SSH", 400, "SSH-2.0-MARK\r\n"),
    raw("a command of Redis", 400, "*2\r\n$3\r\nGET\r\n$4\r\nMARK\r\n"),
    raw(
      "a header of the PROXY protocol",
      400,
      `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n`,
    ),
    ended(raw("nothing at all", [], "")),
    ended(raw("empty lines only", [], "\r\n\r\n\r\n")),
    ended(raw("half a line", 400, "GET /MA")),
    ended(raw("half a head", 400, "GET /events HTTP/1.1\r\nHOST\r\nX: MA")),
  ];
}

function headerCases(raw: Raw): BadRequest[] {
  const get = "GET /events HTTP/1.1\r\n";
  const of = (title: string, line: string, status = 400): BadRequest =>
    raw(title, status, `${get}HOST\r\n${line}\r\nConnection: close\r\n\r\n`);
  return [
    raw("no Host", 400, `${get}Connection: close\r\n\r\n`),
    raw("two Hosts", 400, `${get}HOST\r\nHost: MARK\r\nConnection: close\r\n\r\n`),
    raw("the same Host twice", 400, `${get}HOST\r\nHOST\r\nConnection: close\r\n\r\n`),
    raw("a Host with a space", 400, `${get}Host: a MARK\r\nConnection: close\r\n\r\n`),
    raw("a Host with a path", 400, `${get}Host: a/MARK\r\nConnection: close\r\n\r\n`),
    raw("a Host with a person", 400, `${get}Host: MARK@a\r\nConnection: close\r\n\r\n`),
    of("two Content-Types", "Content-Type: application/json\r\nContent-Type: text/MARK"),
    raw("two Hosts in other letters", 400, `${get}HOST\r\nhOST: a\r\nConnection: close\r\n\r\n`),
    of("a folded header", "X: a\r\n MARK"),
    of("a header folded by a tab", "X: a\r\n\tMARK"),
    raw("a folded first header", 400, `${get} Host: a\r\n\r\n`),
    of("NUL in a header", "X: a\0MARK"),
    of("NUL in a header's name", "X\0: MARK"),
    of("a bare CR in a header", "X: a\rMARK"),
    of("a bare LF in a header", "X: a\nMARK: b"),
    raw("lines that end in LF alone", 400, "GET /MARK HTTP/1.1\nHost: a\n\n"),
    raw("lines that end in CR alone", 400, "GET /MARK HTTP/1.1\rHost: a\r\r"),
    raw("a last line of LF alone", 400, `${get}HOST\r\nX: MARK\r\n\n`),
    of("ESC in a header", "X: \x1b[31mMARK"),
    of("BEL in a header", "X: \x07MARK"),
    of("DEL in a header", "X: \x7fMARK"),
    of("a space before the colon", "X : MARK"),
    of("a header without a colon", "MARK"),
    of("a header without a name", ": MARK"),
    of("a name with brackets", "X(Y): MARK"),
    of("a name beyond ASCII", "X\xe9: MARK"),
    of("one header of 20 KiB", `X: ${"x".repeat(20_000)}`, 431),
    of("20 KiB in many headers", `X: ${"x".repeat(300)}\r\n`.repeat(65).trimEnd(), 431),
    of("101 header lines", "X: y\r\n".repeat(99).trimEnd(), 431),
    of("5,000 header lines", "X:\r\n".repeat(5_000).trimEnd(), 431),
    of("an unknown Expect", "Expect: MARK", 417),
  ];
}

function lengthCases(raw: Raw, { v1 }: Given): BadRequest[] {
  const claim = `POST /v1/events/${v1}/issues HTTP/1.1\r\nHOST\r\nX-User-Id: bad\r\n`;
  const of = (title: string, length: string, status = 400): BadRequest =>
    raw(`length: ${title}`, status, `${claim}Content-Length: ${length}\r\n\r\n{}`);
  return [
    of("negative", "-1"),
    of("with a plus", "+2"),
    of("not a number", "NaN"),
    of("empty", ""),
    of("hexadecimal", "0x2"),
    of("with an exponent", "1e1"),
    of("a fraction", "2.0"),
    of("two in one line", "2, 2"),
    of("two words", "2 2"),
    of("beyond 64 bits", "18446744073709551616"),
    of("thirty digits", "9".repeat(30)),
    of("2 GiB", "2147483648", 413),
    of("2^53", "9007199254740992", 413),
    raw("length: two of them", 400, `${claim}Content-Length: 0\r\nContent-Length: 2\r\n\r\n{}`),
    raw("length: the same twice", 400, `${claim}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`),
    raw("length: a space before the colon", 400, `${claim}Content-Length : 2\r\n\r\n{}`),
    raw("length: of a header that is folded", 400, `${claim}Content-Length:\r\n 2\r\n\r\n{}`),
  ];
}

function chunkCases(raw: Raw, { v1 }: Given): BadRequest[] {
  const claim = `POST /v1/events/${v1}/issues HTTP/1.1\r\nHOST\r\nX-User-Id: bad\r\n`;
  const of = (title: string, body: string, status = 400): BadRequest =>
    raw(`chunks: ${title}`, status, `${claim}Transfer-Encoding: chunked\r\n\r\n${body}`);
  const coded = (coding: string, more = ""): BadRequest => {
    const head = `${claim}Connection: close\r\nTransfer-Encoding: ${coding}\r\n${more}`;
    return raw(`coding: ${coding} ${more.trim()}`, 400, `${head}\r\n0\r\n\r\n`);
  };
  return [
    of("no size", "MARK\r\n\r\n"),
    of("an empty size", "\r\n\r\n"),
    of("a negative size", "-2\r\n{}\r\n0\r\n\r\n"),
    of("a size with 0x", "0x2\r\n{}\r\n0\r\n\r\n"),
    of("a size beyond 64 bits", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
    of("a space behind the size", "2 \r\n{}\r\n0\r\n\r\n"),
    of("a size that ends in LF alone", "2\n{}\n0\n\n"),
    of("no line's end behind the data", "2\r\n{}0\r\n\r\n"),
    of("more data than the size", "2\r\n{}MARK\r\n0\r\n\r\n"),
    of("an extension of 20 KiB", `2;${"e".repeat(20_000)}\r\n{}\r\n0\r\n\r\n`),
    of("a trailer without a colon", "0\r\nMARK\r\n\r\n"),
    of("a trailer of 20 KiB", `0\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431),
    // It is refused when it has shown to be too long, or when it ends before that.
    of("2 GiB of which 2 KiB come", `80000000\r\n${"x".repeat(2_048)}`, 413),
    ended(of("2 GiB of which 4 bytes come", "80000000\r\nMARK")),
    ended(of("no last chunk", "2\r\n{}\r\n")),
    coded("chunked", "Content-Length: 2\r\n"),
    coded("identity"),
    coded("gzip"),
    coded("xchunked"),
    coded("gzip, chunked"),
    coded("chunked, gzip"),
    coded("chunked, chunked"),
    coded("chunked", "Transfer-Encoding: chunked\r\n"),
    raw(
      "chunks: a length before them",
      400,
      `${claim}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ),
    raw(
      "chunks: in HTTP/1.0",
      400,
      `${claim.replace("HTTP/1.1", "HTTP/1.0")}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ),
  ];
}

function bodyCases(raw: Raw, { soldOut, v1 }: Given): BadRequest[] {
  const json = "HOST\r\nX-User-Id: bad\r\nContent-Type: application/json\r\n";
  const claim = `POST /v1/events/${soldOut}/issues HTTP/1.1\r\n${json}`;
  const open = `POST /v1/events/${v1}/issues HTTP/1.1\r\n${json}`;
  const close = "Connection: close\r\n";
  return [
    ended(raw("body: shorter than declared", 400, `${open}Content-Length: 3\r\n\r\n{}`)),
    ended(raw("body: declared, and none", 400, `${open}Content-Length: 2\r\n\r\n`)),
    raw(
      "body: longer than declared",
      [409, 400],
      `${claim}Content-Length: 2\r\n\r\n{}MARK\r\n\r\n`,
    ),
    raw(
      "body: longer than declared, and the last",
      409,
      `${claim}${close}Content-Length: 2\r\n\r\n{}MARK\r\n\r\n`,
    ),
    raw(
      "body: a second claim hidden behind an empty one",
      [409, 400],
      `${claim}Content-Length: 0\r\n\r\nMARK /v1/events HTTP/1.1\r\n\r\n`,
    ),
    raw(
      "body: on GET",
      200,
      `GET /events/${soldOut} HTTP/1.1\r\nHOST\r\n${close}Content-Length: 6\r\n\r\n{MARK}`,
    ),
    raw(
      "body: of 100 KB on GET",
      200,
      `GET /events/${soldOut} HTTP/1.1\r\nHOST\r\n${close}Content-Length: 100000\r\n\r\n${"x".repeat(100_000)}`,
    ),
    raw(
      "body: on GET, in chunks",
      200,
      `GET /healthz HTTP/1.1\r\nHOST\r\n${close}Transfer-Encoding: chunked\r\n\r\n4\r\nMARK\r\n0\r\n\r\n`,
    ),
    raw(
      "body: announced by Expect, then no JSON",
      [100, 415],
      `${open.replace("application/json", "text/plain")}${close}Expect: 100-continue\r\nContent-Length: 4\r\n\r\nMARK`,
    ),
    raw(
      "body: announced by Expect, then refused",
      [100, 400],
      `${open}${close}Expect: 100-continue\r\nContent-Length: 4\r\n\r\nnull`,
    ),
    raw("a good request in HTTP/1.0 without Host", 200, "GET /healthz HTTP/1.0\r\n\r\n"),
    raw("HTTP/1.0 with an unknown address", 404, "GET /MARK HTTP/1.0\r\n\r\n"),
    raw(
      "an upgrade that is not there",
      404,
      `GET /MARK HTTP/1.1\r\nHOST\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n`,
    ),
    raw(
      "an upgrade to HTTP/2",
      404,
      `GET /MARK HTTP/1.1\r\nHOST\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n`,
    ),
  ];
}

function ended(bad: BadRequest): BadRequest {
  return { ...bad, ends: true };
}
