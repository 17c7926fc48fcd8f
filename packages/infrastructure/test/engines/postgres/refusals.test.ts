// Servers and addresses that cannot be used are refused with their own words and what to change, certainly
// and at once; each test names what turns it red.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { freePort } from "@stampede/launcher";
import { missing, testEngine } from "@stampede/launcher/testing";
import pg from "pg";
import { readAddress } from "../../../src/engines/postgres/address.ts";
import { openPostgres } from "../../../src/engines/postgres/open.ts";
import { beginSession } from "../../../src/engines/postgres/settings.ts";
import type { SessionFacts } from "../../../src/engines/postgres/settings.ts";
import { systemTime } from "../../../src/engines/time.ts";
import { migrate } from "../../../src/rows/migrate.ts";
import {
  createEmptyDatabase,
  createTestDatabase,
  openSecondInstance,
} from "../../support/database.ts";
import { faultOf, openClient } from "../../support/postgres.ts";

const bounds = { connectionsMax: 3, waitersMax: 10, waitMsMax: 1_000, time: systemTime };

async function start(url: string): Promise<void> {
  await migrate(url, () => undefined);
  await using _ = await openPostgres({ ...bounds, url });
}

function changed(url: string, change: (url: URL) => void): string {
  const other = new URL(url);
  change(other);
  return other.href;
}

describe("a version of PostgreSQL", () => {
  const SAFE: SessionFacts = {
    fsync: "on",
    full_page_writes: "on",
    synchronous_commit: "on",
    transaction_read_only: "off",
    server_version: "14.0",
    server_version_num: "140000",
    server_encoding: "UTF8",
  };
  const beginOn = async (facts: Partial<SessionFacts>): Promise<void> =>
    beginSession(
      { query: async () => ({ rows: [{ ...SAFE, ...facts } as never], command: "SELECT" }) },
      {},
    );

  // Red when the version is not looked at: 13 starts, and no leader ever comes (`idle_session_timeout`).
  test("is refused below 14, naming it and what was found", async () => {
    const old = { server_version_num: "130023", server_version: "13.23 (Debian 13.23-1)" };
    await assert.rejects(beginOn(old), /PostgreSQL 14 is the oldest that works, .* 13\.23/);
    await beginOn({});
  });
});

describe("a server", { skip: missing("postgres") }, () => {
  // Red when the encoding is not looked at: a Korean name is "not available at the moment" for ever then.
  for (const encoding of ["LATIN1", "SQL_ASCII", "EUC_KR"]) {
    test(`is refused where the database is in ${encoding}, with what to do`, async (t) => {
      const by = `ENCODING '${encoding}' LOCALE 'C' TEMPLATE template0`;
      const url = await createEmptyDatabase(t, by);
      await assert.rejects(start(url), new RegExp(`${encoding}.*CREATE DATABASE .*'UTF8'`));
      const client = await openClient(t, url);
      const { rows } = await client.query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'");
      assert.deepEqual(rows, []);
    });
  }

  // Red when the encoding of a session is what the role or the address says.
  test("is asked in UTF-8 whatever the role says", async (t) => {
    const url = await createTestDatabase(t);
    const client = await openClient(t, url);
    const name = new URL(url).pathname.slice(1);
    await client.query(`ALTER DATABASE ${name} SET client_encoding = 'EUC_KR'`);
    const options = changed(url, (u) => u.searchParams.set("options", "-c client_encoding=LATIN1"));
    const { postgres } = await openSecondInstance(t, options);
    assert.deepEqual(await postgres.query("SELECT '쿠폰' AS name"), [{ name: "쿠폰" }]);
    assert.deepEqual(await postgres.query("SELECT $1::text AS name", ["봄"]), [{ name: "봄" }]);
  });

  // Red when an error at the start is told without its words, or an address without an answer as nothing.
  const wrong: readonly (readonly [string, (url: URL) => void, RegExp])[] = [
    ["the password", (u) => (u.password = "wrong"), /password authentication failed.*Look at user/],
    ["the database", (u) => (u.pathname = "/nowhere"), /"nowhere" does not exist. Make the data/],
    ["the host", (u) => (u.hostname = "nowhere.invalid"), /nowhere.invalid. Look at the host/],
    ["no password", (u) => (u.password = ""), /The server asks for a password/],
    [
      "the start-up options",
      (u) => u.searchParams.set("options", "-c no_such_setting=1"),
      /unrecognized configuration parameter "no_such_setting"/,
    ],
    ["TLS where there is none", (u) => u.searchParams.set("sslmode", "require"), /sslmode=disable/],
    [
      "a schema that is not there",
      (u) => u.searchParams.set("options", "-c search_path=nowhere"),
      /finds no schema by search_path = nowhere. Make it/,
    ],
  ];
  for (const [what, change, why] of wrong) {
    test(`is told to be unusable in its own words: ${what}`, async (t) => {
      const url = await createEmptyDatabase(t);
      await assert.rejects(start(changed(url, change)), why);
    });
  }

  test("is told to be away, of each address of its name", async () => {
    const port = await freePort();
    await assert.rejects(
      start(`postgres://ana:secret@localhost:${port}/shop`),
      /did not answer: connect ECONNREFUSED .*Look at host and port/,
    );
  });

  test("is told to be full, certainly without effect, and is up again when it is not", async (t) => {
    const url = await createTestDatabase(t);
    const admin = await openClient(t, url);
    const role = `narrow_${randomBytes(4).toString("hex")}`;
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 1`);
    t.after(async () => dropRole(role));
    const { postgres } = await openSecondInstance(
      t,
      changed(url, (u) => {
        u.username = role;
        u.password = "secret";
      }),
    );
    const held = Promise.withResolvers<void>();
    const first = postgres.transaction(async () => held.promise);
    const fault = await faultOf(postgres.query("SELECT 1"));
    assert.equal(fault.outcome, "not-applied");
    assert.match(fault.message, /too many connections for role/);
    held.resolve();
    await first;
    assert.deepEqual(await postgres.query("SELECT 1 AS one"), [{ one: 1 }]);
  });

  test("is told what a role lacks that may not make tables", async (t) => {
    const url = await createEmptyDatabase(t);
    const admin = await openClient(t, url);
    const role = `reader_${randomBytes(4).toString("hex")}`;
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    await admin.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    t.after(async () => dropRole(role));
    const as = changed(url, (u) => {
      u.username = role;
      u.password = "secret";
    });
    await assert.rejects(start(as), new RegExp(`GRANT USAGE, CREATE ON SCHEMA public TO ${role}`));
  });
});

async function dropRole(role: string): Promise<void> {
  const client = new pg.Client({ connectionString: testEngine("postgres") });
  await client.connect();
  try {
    await client.query(`DROP ROLE ${role}`);
  } finally {
    await client.end();
  }
}

describe("an address", () => {
  const read = (query: string): ReturnType<typeof readAddress> =>
    readAddress(`postgres://ana:secret@db.example/shop?${query}`);

  // Red when the address is given to the driver as it is, which lets it overrule deadlines and answers.
  test("passes on what names the server, and tells what means nothing", () => {
    const { connection, unused } = read(
      "options=endpoint%3Dep-cool-1&application_name=shop&statement_timeout=0&query_timeout=1&" +
        "client_encoding=latin1&binary=true&replication=database&pgbouncer=true&schema=app",
    );
    assert.equal(
      connection.connectionString,
      "postgres://ana:secret@db.example/shop?options=endpoint%3Dep-cool-1&application_name=shop",
    );
    assert.deepEqual(unused, [
      "statement_timeout",
      "query_timeout",
      "client_encoding",
      "binary",
      "replication",
      "pgbouncer",
      "schema",
    ]);
    assert.deepEqual(readAddress("postgres://a@b/c").unused, []);
  });

  test("of Neon asks for TLS with its names checked, and for channel binding", () => {
    const { connection, unused } = read("sslmode=require&channel_binding=require");
    assert.deepEqual(connection.ssl, {});
    assert.equal(connection.enableChannelBinding, true);
    assert.deepEqual(unused, []);
  });

  for (const [query, why] of [
    ["sslmode=verify_full", /sslmode must be disable, .* not "verify_full"/],
    ["ssl=yes", /sslmode must be/],
    ["sslmode=verify-full&sslrootcert=/nowhere/ca.pem", /sslrootcert cannot be read: ENOENT/],
    [`sslrootcert=${import.meta.filename}`, /no PEM file/],
    ["channel_binding=require", /needs TLS: add sslmode=verify-full/],
  ] as const) {
    test(`is refused with what is wrong in it: ${query.replace(/=\/.*/, "=…")}`, () => {
      assert.throws(() => read(query), why);
    });
  }

  test("with a % in its password that stands for nothing is refused, not obeyed", () => {
    assert.throws(() => readAddress("postgres://ana:a%ffb@db.example/shop"), /write %25/);
    assert.deepEqual(readAddress("postgres://ana:100%@db.example/shop").unused, []);
  });

  test("of several hosts is refused: one name has to lead to the primary", () => {
    assert.throws(() => readAddress("postgres://a@one,two/shop"), /names several hosts/);
  });
});
