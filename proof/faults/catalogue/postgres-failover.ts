// P15: a managed failover of PostgreSQL. The old primary goes on answering and only reads; a standby that
// has all of it is promoted, and whoever connects from now on reaches that one. The service's connections
// to the old one stay open: nothing but what it answers tells that they lead to the wrong server.
//
// Red when 25006 is an error like any other (`isReadOnly` in engines/postgres/open.ts) and the probe does not
// look (`serverRefusal` there): the old connections are kept for ever. By one of the two alone it is green.
import { setTimeout as pause } from "node:timers/promises";
import { startProxy, until } from "@stampede/launcher/testing";
import type { FaultProxy } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { sellUnderFault } from "../course.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { PrivatePlace } from "../places.ts";
import { ask, startStandby } from "../support/postgres-standby.ts";
import type { Standby } from "../support/postgres-standby.ts";
import { logOf, startInstance, startPrivateEngines } from "../support/private-engines.ts";
import type { PrivateEngine } from "../support/private-engines.ts";
import { untilEngine } from "../support/service-state.ts";

/** Until every session has heard of the new setting, and no transaction began before it. */
const DEMOTING_MS = 300;
/** How long there is no primary after the service has noticed. */
const AWAY_MS = 500;

export const managedFailoverCase: FaultCase = {
  id: "P15",
  mechanisms: MECHANISMS,
  injects:
    "PostgreSQL only reads from now on, and its standby takes its place for new connections; the old ones stay open",
  holds: "the old connections are left, no row is lost, and nobody is told wrong",
  runs: "proof",
  needs: ["proc"],
  place: "own",
  run: failOver,
};

type BeforeStandby = PrivatePlace & {
  readonly old: PrivateEngine;
  readonly standby: Standby;
  /** What the service reaches PostgreSQL through, and what the case does. */
  readonly service: FaultProxy;
  readonly eyes: FaultProxy;
};

async function failOver(stage: Stage): Promise<void> {
  const at = await startBeforeStandby(stage);
  const { old, standby, service, eyes } = at;
  await sellUnderFault<PrivatePlace>(
    { ...stage, at },
    {
      async inject({ passBy, begins, ends }) {
        begins();
        await ask(old.url, "ALTER SYSTEM SET default_transaction_read_only = on");
        await ask(old.url, "SELECT pg_reload_conf()");
        await pause(DEMOTING_MS);
        await until(async () => {
          const [row] = await ask(
            old.url,
            "SELECT count(backend_xid)::integer AS writing FROM pg_stat_activity",
          );
          return row?.["writing"] === 0;
        }, "nobody writes to the old primary any more");
        await untilEngine(at.program, "postgres", "down");
        await Promise.all([passBy(), pause(AWAY_MS)]);
        await standby.untilEven();
        await ask(standby.engine.url, "SELECT pg_promote()");
        eyes.pointTo(standby.engine.port);
        eyes.resetAll();
        service.pointTo(standby.engine.port);
        ends();
      },
      after() {
        happened(/read-only transaction/.test(logOf(old)), "the old primary refused no statement");
      },
    },
  );
}

async function startBeforeStandby({ t }: Stage): Promise<BeforeStandby> {
  const { postgres: old, redis } = await startPrivateEngines(t);
  const standby = await startStandby(t, old);
  const port = Number(new URL(old.url).port);
  const [service, eyes] = [await startProxy(t, { port }), await startProxy(t, { port })];
  const postgres = { ...old, url: eyes.through(old.url) };
  const environment = { DATABASE_URL: service.through(old.url) };
  const program = await startInstance(t, { postgres, redis }, environment);
  return { postgres, redis, program, others: [], old, standby, service, eyes };
}
