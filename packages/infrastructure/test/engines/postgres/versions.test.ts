// Other versions of PostgreSQL than the one of package-lock.json: .ci/run unpacks their packages and names
// their folder in STAMPEDE_OTHER_POSTGRES. `refusals.test.ts` has the rule by itself.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { startPostgres } from "@stampede/launcher";
import { until } from "@stampede/launcher/testing";
import { checkPostgres } from "../../../src/engines/postgres/check.ts";
import { openPostgres } from "../../../src/engines/postgres/open.ts";
import { systemTime } from "../../../src/engines/time.ts";
import { candidateOn } from "../../support/postgres.ts";
import { migrate } from "../../../src/rows/migrate.ts";

/** Holds a folder for each version, named by it. */
const folder = process.env["STAMPEDE_OTHER_POSTGRES"] ?? "";
const versions = folder === "" ? [] : readdirSync(folder);
if (folder === "" && process.env["STAMPEDE_NO_SKIPS"] === "1") throw new Error(nowhere());

function nowhere(): string {
  return "STAMPEDE_OTHER_POSTGRES names no folder of other versions: .ci/other-postgres makes one";
}

async function start(t: TestContext, version: string): Promise<string> {
  const dataFolder = mkdtempSync(join(tmpdir(), "stampede-postgres-"));
  chmodSync(dataFolder, 0o711);
  const native = join(folder, version, "native");
  const server = await startPostgres({ dataFolder, native });
  t.after(async () => {
    await server.stop();
    rmSync(dataFolder, { recursive: true, force: true });
  });
  return server.url;
}

const silent = (): void => undefined;

for (const version of versions.filter((name) => Number.parseInt(name, 10) < 14)) {
  test(`PostgreSQL ${version} is refused before anything is made there`, async (t) => {
    const url = await start(t, version);
    await assert.rejects(migrate(url, silent), /PostgreSQL 14 is the oldest that works, .* 13\./);
    const findings = await checkPostgres({ url, connectionsMax: 15 });
    const refused = findings.filter(({ verdict }) => verdict === "refused");
    assert.deepEqual(
      refused.map(({ what }) => what),
      ["version"],
    );
  });
}

for (const version of versions.filter((name) => Number.parseInt(name, 10) >= 14)) {
  test(`PostgreSQL ${version} works: tables, transactions, a leader`, async (t) => {
    const url = await start(t, version);
    await migrate(url, silent);
    await migrate(url, silent);
    const bounds = { connectionsMax: 3, waitersMax: 10, waitMsMax: 1_000, time: systemTime };
    await using postgres = await openPostgres({ ...bounds, url });
    await postgres.transaction(async (sql) => sql.query("SELECT 1 FROM events FOR UPDATE"));
    const candidate = candidateOn(t, postgres);
    await until(() => candidate.isLeader(), "it leads");
    await candidate.close();
    const findings = await checkPostgres({ url, connectionsMax: 15 });
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict !== "right"),
      [],
    );
  });
}

if (folder === "") test("other versions of PostgreSQL", { skip: nowhere() }, () => undefined);
