// What is wrong with the address of a Redis, before anybody is asked: what the client would take for
// something else, or not at all.
import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";

const FORM = "redis://user:password@host:port, rediss:// for TLS";

/** Null where it is one. The sentence never shows it: it may hold a password. */
export function redisUrlFault(text: string): string | null {
  if (/^(?:redis|valkey)s?[+-](?:sentinel|cluster|socket)|^unix:|^redis-sentinel:/.test(text)) {
    return `REDIS_URL must be ${FORM}: Sentinel, cluster mode and sockets are not supported; let it lead to the primary`;
  }
  if (/^[^@]*,/.test(text.replace(/^[^@]*@/, ""))) {
    return "REDIS_URL must name one host: let it lead to the primary, by a name or a proxy that follows it";
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["redis:", "rediss:"].includes(url.protocol) || url.hostname === "") {
    return `REDIS_URL must be a URL that begins with redis:// or rediss:// (${FORM}; special characters in the password percent-encoded)`;
  }
  if (!isPercentEncoded(url.username) || !isPercentEncoded(url.password)) {
    return "REDIS_URL has a % in its user or password that begins no percent-encoding: write %25";
  }
  if (!/^\/?\d*$/.test(url.pathname)) {
    return "REDIS_URL must end with the number of a database, or with its port";
  }
  if (url.search !== "" || url.hash !== "") {
    return "REDIS_URL has options behind ? or #, which are not read: TLS is rediss:// with REDIS_CA, REDIS_CERT and REDIS_KEY, a database is /1";
  }
  return null;
}

export type PemKind = "certificates" | "private key";

/** The text of such a file, or what is wrong with it. */
export function readPem(
  path: string,
  kind: PemKind,
): { readonly text: string } | { readonly fault: string } {
  try {
    const text = readFileSync(path, "utf8");
    if (kind === "private key") createPrivateKey(text);
    else for (const one of certificatesIn(text)) void new X509Certificate(one);
    return { text };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { fault: `${path} cannot be read as ${kind} in PEM form: ${reason}` };
  }
}

function certificatesIn(text: string): readonly string[] {
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (found === null) throw new Error("there is no certificate in it");
  return found;
}

function isPercentEncoded(text: string): boolean {
  try {
    return decodeURIComponent(text).length >= 0;
  } catch {
    // A % that is no encoding, or one of no text.
    return false;
  }
}
