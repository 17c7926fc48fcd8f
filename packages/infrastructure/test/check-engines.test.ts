// What --check tells, of real engines; it changes nothing in them and waits for none for ever.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, test } from "node:test";
import { missing } from "@stampede/launcher/testing";
import { checkEngines } from "../src/check-engines.ts";
import type { CheckOptions } from "../src/check-engines.ts";
import type { Finding } from "../src/engines/finding.ts";
import { createEmptyDatabase, createTestDatabase } from "./support/database.ts";
import { openClient, upTo } from "./support/postgres.ts";
import { pgbouncerMissing, throughPgbouncer } from "./support/pgbouncer.ts";

const OPTIONS: Omit<CheckOptions, "databaseUrl"> = {
  poolSizes: { shared: 5, decisions: 4, rowLock: 4 },
  redisUrl: null,
  kafkaBrokers: null,
  kafkaAccess: { sasl: null, tls: null },
  role: "all",
  workers: 1,
};

const check = async (databaseUrl: string, msMax?: number): Promise<readonly Finding[]> =>
  (await checkEngines({ ...OPTIONS, databaseUrl }, msMax)).filter(
    ({ engine }) => engine === "postgres",
  );

const refused = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ verdict }) => verdict === "refused").map(({ what }) => what);

describe("the check of PostgreSQL", { skip: missing("postgres") }, () => {
  test("finds everything right on a good one, and makes nothing there", async (t) => {
    const url = await createEmptyDatabase(t);
    const findings = await check(url);
    assert.deepEqual(refused(findings), []);
    assert.deepEqual(
      findings.map(({ what }) => what),
      [
        "sign-in",
        "version",
        "encoding",
        "durability",
        "writes",
        "sessions",
        "time limits",
        "connections",
        "schema",
      ],
    );
    const client = await openClient(t, url);
    const { rows } = await client.query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'");
    assert.deepEqual(rows, []);
    const told = await check(await createTestDatabase(t));
    assert.match(told.at(-1)?.found ?? "", /the tables are in public/);
  });

  test("names all that is wrong at once, each with what to change", async (t) => {
    const by = "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0";
    const url = await createEmptyDatabase(t, by);
    const client = await openClient(t, url);
    const name = new URL(url).pathname.slice(1);
    await client.query(`ALTER DATABASE ${name} SET synchronous_commit = off`);
    await client.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    const findings = await check(`${url}?pgbouncer=true`);
    assert.deepEqual(refused(findings), ["encoding", "durability", "writes"]);
    for (const { verdict, advice } of findings) assert.equal(advice === "", verdict === "right");
    assert.match(findings[0]?.found ?? "", /pgbouncer, which means nothing here/);
  });

  test("tells what a role may not do with tables that are there", async (t) => {
    const url = await createTestDatabase(t);
    const client = await openClient(t, url);
    const role = `reader_${randomBytes(4).toString("hex")}`;
    await client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    await client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`);
    const as = new URL(url);
    as.username = role;
    as.password = "secret";
    const others = await Promise.all(upTo(9).map(async () => openClient(t, url)));
    const findings = await check(as.href);
    await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    const room = findings.find(({ what }) => what === "connections")?.found;
    assert.ok(Number(/(?<open>\d+) open/.exec(room ?? "")?.groups?.["open"]) > others.length);
    assert.deepEqual(refused(findings), ["schema"]);
    assert.match(findings.at(-1)?.advice ?? "", /Grant this role .*INSERT on coupon_issues/);
  });

  test("ends where nobody ever answers", async (t) => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    const url = `postgres://ana:secret@127.0.0.1:${port}/shop`;
    assert.deepEqual(refused(await check(url)), ["use"]);
    assert.match((await check(url, 50))[0]?.found ?? "", /no answer .* within 0.05 s/);
  });

  test("sees a pooler by what it does", { skip: pgbouncerMissing() }, async (t) => {
    const url = await createTestDatabase(t);
    const session = await check(await throughPgbouncer(t, url, { pool_mode: "session" }));
    assert.deepEqual(refused(session), []);
    const shared = await check(await throughPgbouncer(t, url, { pool_mode: "transaction" }));
    assert.deepEqual(refused(shared), ["sessions"]);
    assert.match(shared.at(-1)?.advice ?? "", /pool_mode = session/);
  });
});
