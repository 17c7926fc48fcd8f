// A pool of connections to the server that is used now. When that one may not be used any more, all its
// connections end, those in use as soon as they are given back, and the next ones lead to whoever has
// taken its place.
import type { Begin, ConnectionPool, PostgresDriver } from "./driver.ts";
import { beginSession, POOL_SETTINGS } from "./settings.ts";
import type { SessionSettings } from "./settings.ts";

export type RenewablePool = {
  readonly current: () => ConnectionPool;
  renew(): void;
  /** On a connection of this pool it was found that its server may not be used any more. */
  leave(found: ConnectionPool): void;
  close(): Promise<void>;
};

/** `onLeft` is called when the server of the connections was left. */
export function renewablePool(
  driver: PostgresDriver,
  options: { readonly connectionsMax: number },
  onLeft: () => void,
): RenewablePool {
  const open = (): ConnectionPool =>
    driver.openPool(options.connectionsMax, beginning(POOL_SETTINGS));
  let pool = open();
  let closed = false;
  const connections: RenewablePool = {
    current: () => pool,
    renew() {
      if (closed) return;
      const old = pool;
      pool = open();
      void old.end();
    },
    leave(found) {
      // What is found on a connection of a pool that was left is known already.
      if (closed || found !== pool) return;
      connections.renew();
      onLeft();
    },
    async close() {
      if (closed) return;
      closed = true;
      await pool.end();
    },
  };
  return connections;
}

/** What a new connection is begun with. */
export function beginning(settings: SessionSettings): Begin {
  return async (session) => beginSession(session, settings);
}
