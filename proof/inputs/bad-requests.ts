// The bad requests of bad-input.test.ts, as bytes: no client library stands between them and the
// server. "MARK" is in whatever an answer or a log line must not repeat.

export type BadRequest = {
  readonly title: string;
  readonly request: Buffer;
  /** Of each answer on the connection, in order; empty where nothing is said before the close. */
  readonly statuses: readonly number[];
  /** Whether the sender closes its half after the last byte: only then the request has an end. */
  readonly ends: boolean;
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

export type Line = { readonly headers?: readonly string[]; readonly body?: string | Buffer };

export const json = "Content-Type: application/json";

/** A request that is well framed: its head says how long its body is. */
export function build(
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
  return { title: bad.title, statuses: [bad.status], request, ends: false };
}

/** The bytes as they are, Latin-1; HOST stands for the right header. */
export function raw(
  { host }: Given,
  title: string,
  statuses: number | readonly number[],
  text: string,
): BadRequest {
  const request = Buffer.from(text.replaceAll("HOST", `Host: ${host}`), "latin1");
  return { title, statuses: [statuses].flat(), request, ends: false };
}
