import type { TestContext } from "node:test";
import type { EventId, EventStore } from "@stampede/domain";
import type { OpenEvent } from "@stampede/domain/contracts";
import type pg from "pg";
import { testEngine, until } from "@stampede/launcher/testing";
import { groupCommitIssuer } from "../../src/group-commit/issuer.ts";
import type { GroupCommitIssuer } from "../../src/group-commit/issuer.ts";
import type { EventDirectory } from "../../src/rows/event-directory.ts";
import { drawCode } from "../../src/rows/codes.ts";
import { postgresEventStore } from "../../src/rows/event-store.ts";
import type { Postgres } from "../../src/engines/postgres/open.ts";
import { systemTime } from "../../src/engines/time.ts";
import type { Time } from "../../src/engines/time.ts";
import { createTestDatabase, openSecondInstance } from "./database.ts";
import type { HeardFacts } from "./facts.ts";
import { blockedSessions, openClient } from "./postgres.ts";
import { createTestEvent } from "./sale.ts";
import { startTcpProxy } from "./tcp-proxy.ts";
import type { TcpProxy } from "./tcp-proxy.ts";

export const MECHANISM = "group-commit";

/** One process's whole v4. */
export type GroupCommit = {
  readonly issuer: GroupCommitIssuer;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly store: EventStore;
};

export async function openGroupCommit(
  t: TestContext,
  url: string,
  options: { readonly drawCode?: () => string; readonly time?: Time } = {},
): Promise<GroupCommit> {
  const { postgres, directory } = await openSecondInstance(t, url, {
    time: options.time ?? systemTime,
  });
  const issuer = groupCommitIssuer({ postgres, directory, drawCode, ...options });
  t.after(async () => issuer.close());
  return { issuer, postgres, directory, store: postgresEventStore(postgres) };
}

export type OpenedSale = GroupCommit & {
  readonly url: string;
  readonly eventId: EventId;
  /** All of v4 speaks to PostgreSQL through it; the two sessions do not. */
  readonly proxy: TcpProxy;
  /** A session that holds locks, and one that looks. */
  readonly other: pg.Client;
  readonly observer: pg.Client;
  /** Takes the event row's lock in the session `other`, until its COMMIT. */
  readonly holdEventRow: () => Promise<void>;
  /** Sets an edge of the window to a moment from now, in the session that holds the row. */
  readonly moveEdge: (edge: "opens_at" | "closes_at") => Promise<void>;
  /** Waits until that moment has come by the database's clock. */
  readonly untilEdge: (edge: "opens_at" | "closes_at") => Promise<void>;
};

export async function openSale(
  t: TestContext,
  wanted: OpenEvent,
  options: Parameters<typeof openGroupCommit>[2] = {},
): Promise<OpenedSale> {
  const url = await createTestDatabase(t);
  const proxy = await startTcpProxy(t, testEngine("postgres"));
  const opened = await openGroupCommit(t, proxy.through(url), options);
  const eventId = await createTestEvent(opened.store, MECHANISM, wanted);
  const [other, observer] = [await openClient(t, url), await openClient(t, url)];
  return {
    ...opened,
    url,
    eventId,
    proxy,
    other,
    observer,
    async holdEventRow() {
      await other.query("BEGIN");
      await other.query("SELECT 1 FROM events WHERE id = $1 FOR UPDATE", [eventId]);
    },
    async moveEdge(edge) {
      const soon = "clock_timestamp() + interval '100 milliseconds'";
      await other.query(`UPDATE events SET ${edge} = ${soon} WHERE id = $1`, [eventId]);
    },
    async untilEdge(edge) {
      const text = `SELECT clock_timestamp() >= ${edge} AS yes FROM events WHERE id = $1`;
      await until(
        async () => (await other.query<{ yes: boolean }>(text, [eventId])).rows[0]!.yes,
        `${edge} has come`,
      );
    },
  };
}

/** Waits until one session of this sale waits for a lock in such a statement. */
export async function untilBlocked({ observer }: OpenedSale, statement: RegExp): Promise<void> {
  await until(async () => {
    const blocked = await blockedSessions(observer);
    return blocked.filter(({ query }) => statement.test(query)).length === 1;
  }, "a session waits for a lock");
}

/** How many claims each transaction of v4 has carried. */
export function sizesOf({ batches }: HeardFacts): readonly number[] {
  return batches.filter(({ kind }) => kind === "group-commit").map(({ size }) => size);
}

/** Whether it is settled within `ms`. */
export async function answeredBefore(asked: Promise<unknown>, ms: number): Promise<boolean> {
  return Promise.race([asked.then(() => true), systemTime.sleep(ms).then(() => false)]);
}
