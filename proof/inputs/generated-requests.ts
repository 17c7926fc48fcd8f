// Nearly right requests from the service's own OpenAPI description, none of which may change anything.
//
// Each is refused by at least one thing on purpose: an id in use, a stale tag, a claim's body that is
// none, an event that is sold out. So the mistake that is made beside it may be anything, or none at
// all, and the state must still be the same.
import fc from "fast-check";
import { anything, edgeText } from "./edge-values.ts";

/** The part of an OpenAPI description that requests are made from. */
export type OpenApi = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};
type Operation = {
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
  };
};
type Schema = {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
};

/** What generated requests name: open events by the version of their path, and sold-out ones. */
export type Sales = {
  readonly open: Readonly<Record<"v1" | "v2" | "v3", string>>;
  readonly soldOut: Readonly<Record<"v1" | "v2" | "v3", string>>;
  readonly token: string;
};

export type MadeRequest = {
  /** Latin-1: a character is a byte. */
  readonly text: string;
  /** True where the head tells the length of the body, so that others may follow on the connection. */
  readonly framed: boolean;
};

/** No event is ever changed so often. */
export const STALE = '"777777"';
export const VERSIONS = ["v1", "v2", "v3"] as const;

/** Requests by the description: every route, parameter and body of it. */
export function fromDescription(document: OpenApi, sales: Sales): fc.Arbitrary<MadeRequest> {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      // What takes no input at all has little to be wrong about.
      weight: operation.security === undefined ? 1 : 4,
      arbitrary: requestTo({ path, method: method.toUpperCase(), operation }, sales),
    })),
  );
  return fc.oneof(...operations);
}

type Route = { readonly path: string; readonly method: string; readonly operation: Operation };

function requestTo(route: Route, sales: Sales): fc.Arbitrary<MadeRequest> {
  const { path, method, operation } = route;
  const names = (operation.parameters ?? []).filter((one) => one.in === "query");
  const whole = fc.nat().map(String);
  return fc
    .record({
      method: rarely(
        fc.constant(method),
        fc.constantFrom("GET", "HEAD", "PUT", "DELETE", "PATCH", "POST"),
      ),
      id: eventId(route, sales),
      query: fc.record(
        Object.fromEntries(names.map(({ name }) => [name, fc.oneof(whole, edgeText)])),
        { requiredKeys: [] },
      ),
      more: fc.option(fc.tuple(edgeText, edgeText), { freq: 20 }),
      credential: credentialFor(route, sales),
      content: contentFor(route, sales),
      header: fc.option(edgeHeader, { freq: 10 }),
    })
    .map(({ id: wanted, query, more, content, ...made }) => {
      // A good claim asks for what is sold out.
      const id = content.isGood === true ? gone(sales, wanted.length) : wanted;
      const pairs = [...Object.entries(query), ...(more === null ? [] : [more])];
      const queryText = pairs
        .map(([name, value = ""]) => `${encoded(name)}=${encoded(value)}`)
        .join("&");
      const target = path.replace("{id}", id) + (queryText === "" ? "" : `?${queryText}`);
      const head = [
        `${made.method} ${target} HTTP/1.1`,
        "Host: generated",
        ...made.credential,
        ...content.headers,
        ...(made.header === null ? [] : [made.header]),
        ...(content.body === null ? [] : [`Content-Length: ${content.body.length}`]),
      ];
      return { text: `${head.join("\r\n")}\r\n\r\n${content.body ?? ""}`, framed: true };
    });
}

function eventId({ path }: Route, { open, soldOut }: Sales): fc.Arbitrary<string> {
  const known = fc.constantFrom(...Object.values(open), ...Object.values(soldOut), "nowhere");
  return path.includes("{id}") ? rarely(known, edgeText.map(encoded)) : fc.constant("");
}

function credentialFor(
  { path, operation }: Route,
  { token }: Sales,
): fc.Arbitrary<readonly string[]> {
  const wrong = edgeText.map((text) => headerText(text));
  const isOperators = operation.security?.some((one) => "operator" in one) === true;
  if (isOperators) {
    return rarely<readonly string[]>(
      fc.constant([`Authorization: Bearer ${token}`]),
      fc.oneof(
        wrong.map((text) => [`Authorization: Bearer ${text}`]),
        wrong.map((text) => [`Authorization: ${text}`]),
        fc.constant(["X-User-Id: bad"]),
        fc.constant([]),
      ),
    );
  }
  if (!path.includes("/issues")) return fc.constant([]);
  return rarely<readonly string[]>(
    fc.constant(["X-User-Id: bad"]),
    fc.oneof(
      wrong.map((text) => [`X-User-Id: ${text}`]),
      fc.constant(["X-User-Id: a", "X-User-Id: b"]),
      fc.constant([]),
    ),
  );
}

function gone({ soldOut }: Sales, at: number): string {
  return Object.values(soldOut)[at % VERSIONS.length]!;
}

type Content = {
  readonly headers: readonly string[];
  readonly body: string | null;
  /** Whether a claim with it is well formed. */
  readonly isGood?: boolean;
};

function contentFor(route: Route, sales: Sales): fc.Arbitrary<Content> {
  const { path, method, operation } = route;
  const schema = operation.requestBody?.content["application/json"]?.schema;
  if (schema !== undefined) return jsonContent(schema, method, sales);
  if (method === "POST" && path.endsWith("/issues")) return fc.oneof(goodContent, claimContent);
  return rarely<Content>(
    fc.constant({ headers: [], body: null }),
    anything.map((value) => asContent(jsonOf(value))),
  );
}

const goodContent = fc.constantFrom<Content>(
  { headers: [], body: null, isGood: true },
  { headers: ["Content-Type: text/plain"], body: "", isGood: true },
  { headers: ["Content-Type: application/json"], body: "{}", isGood: true },
);

/** Never nothing and never `{}`: a claim of whoever it is for is refused by its body. */
const claimContent: fc.Arbitrary<Content> = fc
  .oneof(anything.map(jsonOf), edgeText.map(utf8), fc.constant("x".repeat(1_025)))
  .filter((body) => body !== "" && !/^\s*\{\s*\}\s*$/.test(body))
  .chain((body) => mediaType.map((type) => ({ headers: type, body })));

const mediaType = rarely<readonly string[]>(
  fc.constant(["Content-Type: application/json"]),
  fc.oneof(
    edgeText.map((text) => [`Content-Type: ${headerText(text)}`]),
    fc.constant(["Content-Type: application/json", "Content-Encoding: gzip"]),
    fc.constant([]),
  ),
);

function jsonContent(schema: Schema, method: string, { open }: Sales): fc.Arbitrary<Content> {
  const fields = Object.entries(schema.properties ?? {}).filter(([name]) => name !== "id");
  const field = fields.map(([name, one]) => {
    const wrong = { weight: 1, arbitrary: anything };
    return [name, fc.oneof({ weight: 20, arbitrary: valueOf(one) }, wrong)] as const;
  });
  const requiredKeys = (schema.required ?? []).map(String);
  const value = fc
    .tuple(
      fc.record(Object.fromEntries(field), { requiredKeys }),
      fc.option(fc.dictionary(edgeText, anything, { maxKeys: 2 }), { freq: 10 }),
      fc.option(fc.constantFrom(...fields.map(([name]) => name)), { freq: 10 }),
    )
    .map(([record, more, left]) => {
      const made: Record<string, unknown> = { ...record, ...more };
      if (left !== null) delete made[left];
      // Without an id a new event would be made, if all the rest of it is right.
      if (method === "POST") made["id"] = open.v1;
      return made;
    });
  const text = fc.oneof(
    { weight: 20, arbitrary: value.map(jsonOf) },
    { weight: 1, arbitrary: fc.tuple(value, fc.nat()).map(([made, at]) => cut(jsonOf(made), at)) },
    { weight: 1, arbitrary: anything.map(jsonOf) },
  );
  const tag = rarely(
    fc.constant(`If-Match: ${STALE}`),
    edgeText.map((one) => `If-Match: ${headerText(one)}x`),
  );
  return fc
    .tuple(text, mediaType, method === "PATCH" ? tag.map((one) => [one]) : fc.constant([]))
    .map(([body, type, tags]) => ({ headers: [...type, ...tags], body }));
}

function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valueOf));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const types = [schema.type ?? []].flat();
  const { minimum: min = 0, maximum: max = 2 ** 31 } = schema;
  const date = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") });
  return fc.oneof(
    ...types.map((type): fc.Arbitrary<unknown> => {
      if (type === "integer") return fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max));
      if (type === "boolean") return fc.boolean();
      if (type === "null") return fc.constant(null);
      if (schema.format === "date-time") return date.map((time) => time.toISOString());
      return fc.string({ unit: "grapheme", minLength: 1, maxLength: 100 });
    }),
  );
}

const edgeHeader = fc.oneof(
  fc
    .tuple(fc.constantFrom("X-Forwarded-For", "User-Agent", "Accept", "Origin", "Range"), edgeText)
    .map(([name, text]) => `${name}: ${headerText(text)}`),
  fc.constantFrom(
    "Expect: 100-continue",
    "Upgrade: websocket",
    "TE: trailers",
    "Accept: */*;q=MARK",
  ),
);

function rarely<Value>(
  usual: fc.Arbitrary<Value>,
  other: fc.Arbitrary<Value>,
): fc.Arbitrary<Value> {
  return fc.oneof({ weight: 5, arbitrary: usual }, { weight: 1, arbitrary: other });
}

/** As UTF-8, in a path or a query; what has no UTF-8 becomes U+FFFD. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** UTF-8 bytes without what would end the header. */
function headerText(text: string): string {
  return utf8(text.replaceAll(/\p{Cc}/gu, "?")).trim();
}

function utf8(text: string): string {
  return Buffer.from(text).toString("latin1");
}

function jsonOf(value: unknown): string {
  return utf8(JSON.stringify(value) ?? "null");
}

function asContent(body: string): Content {
  return { headers: ["Content-Type: application/json"], body };
}

function cut(text: string, at: number): string {
  return text.slice(0, at % (text.length + 1));
}
