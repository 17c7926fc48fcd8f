// Right requests with some of their bytes changed, none of which may change anything.
import fc from "fast-check";
import { STALE, VERSIONS } from "./generated-requests.ts";
import type { MadeRequest, Sales } from "./generated-requests.ts";

/** Right requests, some bytes of which are changed, put in, left out, said twice or cut off. */
export function fromBytes(sales: Sales): fc.Arbitrary<MadeRequest> {
  const at = fc.nat({ max: 2_000 });
  const byte = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(..."09afAZ-._~@/?&=%+\"'{}[]:;, ".split("")) },
    fc.constantFrom(..."\0\t\r\n\u007f\u0080\u00ff".split("")),
    fc.nat({ max: 255 }).map((code) => String.fromCharCode(code)),
  );
  const some = fc.constantFrom("\r\n", "0\r\n\r\n");
  const none = fc.constant("");
  const edit = fc.oneof(
    { weight: 8, arbitrary: fc.record({ at, length: fc.constant(1), put: byte }) },
    { weight: 4, arbitrary: fc.record({ at, length: fc.constant(0), put: byte }) },
    { weight: 4, arbitrary: fc.record({ at, length: fc.nat({ max: 8 }), put: none }) },
    { weight: 2, arbitrary: fc.record({ at, length: fc.constant(0), put: some }) },
    { weight: 1, arbitrary: fc.record({ at, length: fc.constant(2_000), put: none }) },
  );
  const edits = fc.array(edit, { minLength: 1, maxLength: 3 });
  return fc.tuple(fc.constantFrom(...rightRequests(sales)), edits).map(([right, changes]) => {
    let text = right;
    for (const { at, length, put } of changes) {
      const from = at % (text.length + 1);
      text = text.slice(0, from) + put + text.slice(from + length);
    }
    return { text, framed: false };
  });
}

/** Each is refused, or changes nothing, for more reasons than one edit can take away. */
function rightRequests({ open, soldOut, token }: Sales): string[] {
  const close = "Host: generated\r\nConnection: close\r\n";
  const json = "Content-Type: application/json\r\n";
  const operator = `Authorization: Bearer ${token}\r\n`;
  const person = "X-User-Id: mutant\r\n";
  const bad = '{"id":"mutant-event","name":"","mechanism":"none","limit":-1,"pace":0,"more":1}';
  const claims = VERSIONS.flatMap((version) => {
    const head = `POST /${version}/events/${soldOut[version]}/issues HTTP/1.1\r\n${close}${person}`;
    return [
      `${head}Content-Length: 0\r\n\r\n`,
      `${head}${json}Content-Length: 2\r\n\r\n{}`,
      `${head}${json}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    ];
  });
  const change = '{"name":"","limit":-1,"paused":"yes","more":1}';
  const gets = [
    "/events?limit=1&cursor=2",
    `/events/${open.v1}`,
    `/events/${open.v3}/issues/me?ticket=1`,
    `/events/${open.v2}/issues?limit=1&cursor=0`,
    "/healthz",
    "/nowhere?a=b",
    "/vendor/uplot/uPlot.min.css",
  ].map((path) => `GET ${path} HTTP/1.1\r\n${close}${person}${operator}\r\n`);
  return [
    ...claims,
    ...gets,
    `POST /events HTTP/1.1\r\n${close}${operator}${json}Content-Length: ${bad.length}\r\n\r\n${bad}`,
    `PATCH /events/${open.v1} HTTP/1.1\r\n${close}${operator}${json}If-Match: ${STALE}\r\n` +
      `Content-Length: ${change.length}\r\n\r\n${change}`,
  ];
}
