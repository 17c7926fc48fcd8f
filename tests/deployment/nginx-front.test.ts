// What deploy/nginx/nginx.conf is to whoever comes from outside: whose clock it tells, how much one
// address may ask, what it says by itself, and what the examples of deploy/nginx/local add. On the real
// nginx. Red when `nodelay` goes, when a limit counts all addresses as one, and when an error of nginx
// has no `error_page`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { freePort } from "@stampede/launcher";
import { readFile } from "./compose-model.ts";
import { claim, door, issue } from "./nginx-doors.ts";
import type { Door } from "./nginx-doors.ts";
import { nginxMissing, startNginx } from "./own-nginx.ts";
import { missingProgram, ownFolder, replacedExactly } from "./processes.ts";

const skip = nginxMissing;
const CROWD = 10_000;
const CONNECTIONS = 250;
/** Ten minutes behind, as a database's clock may be. */
const SERVICE_DATE = new Date(Date.now() - 600_000).toUTCString();

type Told = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
};

async function toldOf(answer: IncomingMessage): Promise<Told> {
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) text += String(chunk);
  return { status: answer.statusCode ?? 0, headers: answer.headers, text };
}

async function ask(
  url: string,
  how: {
    readonly method?: string;
    readonly headers?: Record<string, string>;
    readonly agent?: Agent;
  } = {},
): Promise<Told & { readonly dates: number }> {
  const asking = request(url, how).end();
  const [answer] = (await once(asking, "response")) as [IncomingMessage];
  const names = answer.rawHeaders.filter((_, index) => index % 2 === 0);
  const dates = names.filter((name) => name.toLowerCase() === "date").length;
  return { ...(await toldOf(answer)), dates };
}

/** What nginx answers to bytes that need not be a request. */
async function send(url: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write(bytes);
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk) => (text += String(chunk)));
  await once(socket, "close", { signal: AbortSignal.timeout(10_000) });
  return text;
}

function problemIn(text: string): Readonly<Record<string, unknown>> {
  return JSON.parse(text.slice(text.indexOf("{"))) as Record<string, unknown>;
}

function assertProblem({ status, headers, text }: Told, type: string): void {
  assert.equal(headers["content-type"], "application/problem+json");
  assert.equal(headers["cache-control"], "no-store");
  const problem = problemIn(text);
  assert.deepEqual([problem["type"], problem["status"]], [`/problems/${type}`, status], text);
  assert.ok(problem["title"] !== undefined && problem["detail"] !== undefined);
}

/** Limits that a test can reach; nginx refills them in a moment, so they are small. */
const small = (text: string): string =>
  replacedExactly(text, [
    ["rate=2000r/s", "rate=1r/m", 2],
    ["zone=claims burst=20000", "zone=claims burst=2", 1],
    ["zone=questions burst=250000", "zone=questions burst=5", 1],
    ["limit_conn connections 20000", "limit_conn connections 3", 1],
  ]);

test("the Date of an answer is the service's, once, and no other clock's", { skip }, async (t) => {
  const app = await door(t, (_request, response) => {
    response.writeHead(200, { date: SERVICE_DATE }).end("{}");
  });
  const url = await startNginx(t, { app: app.address, api2: app.address });
  for (const path of ["/events", "/v1/events/spring/issues", "/events/spring/stream"]) {
    const { headers, dates } = await ask(`${url}${path}`);
    assert.deepEqual([headers.date, dates], [SERVICE_DATE, 1], path);
  }
});

describe("what one address may ask", { skip }, () => {
  test(`lets ${CROWD} people behind one address claim at one instant`, async (t) => {
    const app = await door(t, issue);
    const url = await startNginx(t, { app: app.address, api2: app.address });
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    t.after(() => agent.destroy());
    const statuses = await Promise.all(
      Array.from({ length: CROWD }, async (_, person) => {
        const headers = { "x-user-id": `p-${person}` };
        return (await ask(`${url}/v2/events/spring/issues`, { method: "POST", headers, agent }))
          .status;
      }),
    );
    assert.equal(statuses.filter((status) => status === 201).length, CROWD);
    assert.equal(new Set(app.people).size, CROWD);
  });

  test("ends in a 429 that says when to come back, and nothing reaches the service", async (t) => {
    const app = await door(t, issue);
    const url = await startNginx(t, { app: app.address, api2: app.address }, { change: small });
    const answers: Told[] = [];
    for (let n = 0; n < 6; n += 1) {
      answers.push(await ask(`${url}/v1/events/spring/issues`, { method: "POST" }));
    }
    assert.deepEqual(
      answers.map(({ status }) => status),
      [201, 201, 201, 429, 429, 429],
    );
    assert.equal(app.requests.length, 3);
    const [last] = answers.slice(-1) as [Told];
    assertProblem(last, "too-many-requests");
    assert.equal(last.headers["retry-after"], "1");
    // Whose page it is does not matter: it says nothing of anybody. It must not believe nginx's clock.
    assert.equal(last.headers["access-control-allow-origin"], "*");
    assert.equal(last.headers["access-control-expose-headers"], "Retry-After");
    // Questions have a limit of their own.
    assert.equal((await ask(`${url}/events/spring`)).status, 201);
  });

  test("never cuts a stream that is open", async (t) => {
    const app = await door(t, (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
      setTimeout(() => response.end("data: 2\n\n"), 500).unref();
    });
    const url = await startNginx(t, { app: app.address, api2: app.address }, { change: small });
    const streams = Array.from({ length: 3 }, () => ask(`${url}/events/spring/stream`));
    while (app.requests.length < 3) await new Promise(setImmediate);
    const refused = await ask(`${url}/events/spring/stream`);
    assertProblem(refused, "too-many-requests");
    for (const { status, text } of await Promise.all(streams)) {
      assert.deepEqual([status, text], [200, "data: 1\n\ndata: 2\n\n"]);
    }
  });

  test("is that of the person and not of the balancer, where it is named", async (t) => {
    const app = await door(t, issue);
    const local = { "balancer.conf": readFile("deploy/nginx/local/balancer.conf.example") };
    const trusted = {
      "balancer.conf": local["balancer.conf"].replace("10.0.0.0/8", "127.0.0.0/8"),
    };
    const doors = { app: app.address, api2: app.address };
    for (const [given, seen] of [
      [local, ["127.0.0.1", "127.0.0.1"]],
      [trusted, ["198.51.100.7", "198.51.100.8"]],
    ] as const) {
      const url = await startNginx(t, doors, { local: given });
      for (const person of ["198.51.100.7", "198.51.100.8"]) {
        // Whoever writes the first of them is not believed: only what the balancer added.
        await ask(`${url}/events`, { headers: { "x-forwarded-for": `192.0.2.1, ${person}` } });
      }
      const told = app.requests.slice(-2).map(({ headers }) => headers["x-forwarded-for"]);
      assert.deepEqual(told, seen);
    }
  });
});

test("what nginx refuses by itself is a problem like the service's", { skip }, async (t) => {
  const app = await door(t, issue);
  const url = await startNginx(t, { app: app.address, api2: app.address });
  const long = "x".repeat(17_000);
  const cases: readonly [string, number, string][] = [
    ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid-request"],
    ["GET / HTTP/1.1\r\n\r\n", 400, "invalid-request"],
    ["nonsense\r\n\r\n", 400, "invalid-request"],
    ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "invalid-request"],
    ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400, "invalid-request"],
    [`GET /${long} HTTP/1.1\r\nHost: a\r\n\r\n`, 414, "uri-too-long"],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${long}\r\n\r\n`, 431, "headers-too-large"],
    ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", 413, "payload-too-large"],
    ["TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405, "method-not-allowed"],
  ];
  for (const [bytes, status, type] of cases) {
    const text = await send(url, bytes);
    const name = bytes.slice(0, 60);
    assert.match(text, new RegExp(`^HTTP/1.1 ${status} `), name);
    assert.match(text, /content-type: application\/problem\+json\r\n/i, name);
    const problem = problemIn(text);
    assert.deepEqual([problem["type"], problem["status"]], [`/problems/${type}`, status], name);
  }
  assert.equal(app.requests.length, 0);
});

test("a service that is away altogether is told as a problem", { skip }, async (t) => {
  const nobody = `127.0.0.1:${await freePort()}`;
  const url = await startNginx(t, { app: nobody, api2: nobody });
  const answer = await ask(`${url}/events`);
  assertProblem(answer, "outcome-unknown");
  assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "1"]);
  const claimed = await claim(url, "ana");
  assert.equal(problemIn(await claimed.text())["statusUrl"], "/events/spring/issues/me");
});

describe("HTTP/2", { skip }, () => {
  test("is spoken without TLS to a load balancer that ends it", async (t) => {
    const port = await freePort();
    const example = readFile("deploy/nginx/local/h2c.conf.example");
    const local = { "h2c.conf": example.replace("listen 8081 ", `listen 127.0.0.1:${port} `) };
    await claimsAndWatches(t, { local, url: `http://127.0.0.1:${port}` });
  });

  const noTls = nginxMissing || missingProgram("openssl", "install openssl");
  test("is spoken with TLS to everybody", { skip: noTls }, async (t) => {
    const port = await freePort();
    const folder = ownFolder(t);
    const [key, certificate] = [join(folder, "tls.key"), join(folder, "tls.crt")];
    const subject = ["-subj", "/CN=localhost", "-keyout", key, "-out", certificate];
    const kind = ["-x509", "-newkey", "rsa:2048", "-nodes"];
    execFileSync("openssl", ["req", ...kind, ...subject], { stdio: "ignore" });
    const example = readFile("deploy/nginx/local/tls.conf.example");
    const local = {
      "tls.conf": example.replace("listen 8443 ", `listen 127.0.0.1:${port} `),
      "tls.key": readFileSync(key, "utf8"),
      "tls.crt": readFileSync(certificate, "utf8"),
    };
    await claimsAndWatches(t, { local, url: `https://127.0.0.1:${port}` });
    const plain = await send(`http://127.0.0.1:${port}`, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.match(plain, /^HTTP\/1.1 400 [^]*"type":"\/problems\/invalid-request"/);
  });
});

/** On one connection: a stream that stays open, and claims beside it. */
async function claimsAndWatches(
  t: TestContext,
  { local, url }: { readonly local: Readonly<Record<string, string>>; readonly url: string },
): Promise<void> {
  let end = (): void => undefined;
  const app: Door = await door(t, (asked, response) => {
    response.setHeader("date", SERVICE_DATE);
    if (asked.method === "POST") return issue(asked, response);
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
    end = () => void response.end("data: 2\n\n");
  });
  await startNginx(t, { app: app.address, api2: app.address }, { local });
  const session = connectHttp2(url, { rejectUnauthorized: false });
  t.after(() => session.destroy());
  const stream = session.request({ ":path": "/events/spring/stream" }).setEncoding("utf8");
  const frames: string[] = [];
  stream.on("data", (chunk) => frames.push(String(chunk)));
  while (frames.length === 0) await once(stream, "data", { signal: AbortSignal.timeout(10_000) });
  for (let n = 0; n < 20; n += 1) {
    const { status, date } = await claimOver(session, `p-${n}`);
    assert.deepEqual([status, date], [201, SERVICE_DATE]);
  }
  const [{ headers }] = app.requests.slice(-1) as [IncomingMessage];
  assert.equal(headers.host, new URL(url).host);
  end();
  await once(stream, "end", { signal: AbortSignal.timeout(10_000) });
  assert.equal(frames.join(""), "data: 1\n\ndata: 2\n\n");
}

async function claimOver(
  session: ClientHttp2Session,
  person: string,
): Promise<{ readonly status: unknown; readonly date: unknown }> {
  const path = "/v1/events/spring/issues";
  const asking = session.request({ ":method": "POST", ":path": path, "x-user-id": person });
  asking.end();
  const [headers] = await once(asking, "response", { signal: AbortSignal.timeout(10_000) });
  asking.resume();
  const told: Readonly<Record<string, unknown>> = headers;
  return { status: told[":status"], date: told["date"] };
}
