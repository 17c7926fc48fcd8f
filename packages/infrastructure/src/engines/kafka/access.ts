// How this process gets to Kafka's brokers: their addresses, who it is there, and whether over TLS.
import { isIP } from "node:net";
import { ConnectionPool } from "@platformatic/kafka";
import type { Broker } from "@platformatic/kafka";

export const saslMechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const;

export type KafkaAccess = {
  /** Null: brokers are not told who we are, or by the client certificate only. */
  readonly sasl: {
    readonly mechanism: (typeof saslMechanisms)[number];
    readonly username: string;
    readonly password: string;
  } | null;
  /** Texts in PEM form. Null: no TLS. Without `ca` the authorities that Node brings count. */
  readonly tls: {
    readonly ca: string | null;
    readonly client: { readonly cert: string; readonly key: string } | null;
  } | null;
};

export const openAccess: KafkaAccess = { sasl: null, tls: null };

type Bounds = {
  readonly connectTimeout: number;
  readonly requestTimeout: number;
  readonly maxInflights: number;
};

export type TlsOptions = { ca?: string; cert?: string; key?: string; servername?: string };

/** What Node's TLS wants of it; null without TLS. */
export function tlsOptionsOf({ tls }: KafkaAccess): TlsOptions | null {
  if (tls === null) return null;
  return { ...(tls.ca === null ? {} : { ca: tls.ca }), ...tls.client };
}

/**
 * The name by which brokers that share an address tell which of them is meant, as hosted ones do; an
 * IP address must not be one (RFC 6066).
 */
export function serverNameOf(host: string): string {
  return isIP(host) === 0 ? host : "";
}

/** A pool whose connections sign in, the later ones too. */
export function connectionPool(access: KafkaAccess, bounds: Bounds): ConnectionPool {
  const tls = tlsOptionsOf(access);
  const pool = new ConnectionPool("stampede", {
    ...bounds,
    ...(tls === null ? {} : { tls }),
    ...(access.sasl === null ? {} : { sasl: access.sasl }),
  });
  pool.on("connecting", ({ broker, connection }) => {
    // Whoever uses a connection is told by its request; nobody else may be brought down by it.
    connection.on("error", () => undefined);
    // Read when the connection begins, which is right after this.
    if (tls !== null) tls.servername = serverNameOf(broker.host);
  });
  return pool;
}

/** Throws for what is none ("host:port,[::1]:port"). */
export function parseBrokers(text: string): Broker[] {
  return text.split(",").map((part) => {
    const url = URL.parse(`kafka://${part.trim()}`);
    if (url === null || url.hostname === "") {
      throw new Error(`"${part}" names no Kafka broker; write host:port, several with commas`);
    }
    const host = url.hostname.replace(/^\[(?<address>.*)\]$/, "$<address>");
    return { host, port: url.port === "" ? 9_092 : Number(url.port) };
  });
}

/** As it is written: an IPv6 address in brackets. */
export function addressOf({ host, port }: Broker): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
