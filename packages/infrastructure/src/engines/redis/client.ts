import { createClient } from "redis";

export const CONNECT_MS_MAX = 2_000;

/** What this folder needs of a client; the one that is used is `redis`. */
export type RedisClient = {
  on(happening: "error" | "end", listener: (error?: unknown) => void): unknown;
  connect(): Promise<unknown>;
  /** Rejects with what the server answered, or with whatever ended the connection. */
  sendCommand(command: readonly string[]): Promise<unknown>;
  destroy(): void;
};

/** Certificates as PEM texts, for `rediss://`; null: the authorities that everybody knows, and none of ours. */
export type RedisTls = {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
};

export type RedisAddress = {
  /** May name a user, a password and a database. */
  readonly url: string;
  readonly tls?: RedisTls | undefined;
};

/** A client for one connection: its host is looked up anew, and nothing is ever sent twice. */
export function makeClient({ url, tls }: RedisAddress): RedisClient {
  const named = Object.entries(tls ?? {}).filter(([, text]) => text !== null);
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    commandOptions: { timeout: 0 },
    socket: {
      reconnectStrategy: false,
      connectTimeout: CONNECT_MS_MAX,
      ...Object.fromEntries(named),
    },
  });
}
