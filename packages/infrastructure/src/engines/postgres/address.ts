// What DATABASE_URL says of a connection. Only what is named here reaches the driver, which would let the
// address overrule deadlines and the reading of answers; what is not used is told.
import { readFileSync } from "node:fs";
import { getCACertificates } from "node:tls";
import type { ClientConfig } from "pg";

export type Address = {
  readonly connection: Pick<
    ClientConfig,
    "connectionString" | "ssl" | "sslnegotiation" | "enableChannelBinding"
  >;
  /** Names of parameters that mean nothing to this program. */
  readonly unused: readonly string[];
};

/** What of DATABASE_URL is wrong, and what to write instead. */
class WrongAddress extends Error {
  override readonly name = "WrongAddress";

  constructor(what: string, options?: ErrorOptions) {
    super(`DATABASE_URL: ${what}`, options);
  }
}

/** Where to and as whom; `options` is what the server itself is told, as "-c search_path=app". */
const PASSED_ON = ["host", "port", "user", "password", "options", "application_name"];
const TLS = ["ssl", "sslmode", "sslrootcert", "sslcert", "sslkey", "uselibpqcompat"];
const READ_HERE = [...TLS, "sslnegotiation", "channel_binding"];

type Parameters = Readonly<Record<string, string>>;

/** Throws `WrongAddress`. Files that it names are read now. */
export function readAddress(url: string): Address {
  const parsed = new URL(url);
  if (parsed.hostname.includes(",")) {
    throw new WrongAddress(
      "it names several hosts. Name one, which leads to the primary after a failover too",
    );
  }
  for (const [what, text] of [
    ["user", parsed.username],
    ["password", parsed.password],
  ] as const) {
    if (!isDecodable(text))
      throw new WrongAddress(`its ${what} has a % that stands alone: write %25`);
  }
  const given: Parameters = Object.fromEntries(parsed.searchParams);
  const names = Object.keys(given);
  const direct = given["sslnegotiation"] === "direct";
  const ssl = readTls(given) ?? (direct ? {} : undefined);
  const channelBinding = given["channel_binding"] === "require";
  if (channelBinding && (ssl === undefined || ssl === false)) {
    throw new WrongAddress("channel_binding=require needs TLS: add sslmode=verify-full");
  }
  for (const name of names) if (!PASSED_ON.includes(name)) parsed.searchParams.delete(name);
  return {
    connection: {
      connectionString: names.length === 0 ? url : parsed.href,
      ...(ssl === undefined ? {} : { ssl }),
      ...(direct ? { sslnegotiation: "direct" } : {}),
      enableChannelBinding: channelBinding,
    },
    unused: names.filter((name) => ![...PASSED_ON, ...READ_HERE].includes(name)),
  };
}

function isDecodable(text: string): boolean {
  // The driver mends a % before anything but two digits.
  const mended = text.replaceAll(/%(?![0-9a-f]{2})/gi, "%25");
  try {
    decodeURIComponent(mended);
    return true;
  } catch {
    return false;
  }
}

/** How a connection is encrypted; undefined where the address does not say. */
function readTls(given: Parameters): ClientConfig["ssl"] {
  if (!TLS.some((name) => given[name] !== undefined)) return undefined;
  const mode = given["sslmode"] ?? modeOfSsl(given["ssl"]);
  if (mode === "disable") return false;
  const files = {
    ...(given["sslrootcert"] === undefined ? {} : { ca: readRoots(given["sslrootcert"]) }),
    ...namedPem(given, "sslcert", "cert"),
    ...namedPem(given, "sslkey", "key"),
  };
  const unchecked = { ...files, rejectUnauthorized: false };
  const libpq = given["uselibpqcompat"] === "true";
  switch (mode) {
    case "no-verify":
      return unchecked;
    case "verify-ca":
      // Whoever has a certificate of this CA is the server; of all public CAs that would be anybody.
      return "ca" in files && given["sslrootcert"] !== "system"
        ? { ...files, checkServerIdentity: () => undefined }
        : files;
    case "allow":
    case "prefer":
    case "require":
      return libpq && !("ca" in files) ? unchecked : files;
    case "verify-full":
      return files;
    default:
      throw new WrongAddress(
        `sslmode must be disable, no-verify, require, verify-ca or verify-full, not "${mode}"`,
      );
  }
}

function modeOfSsl(ssl: string | undefined): string {
  if (ssl === undefined || ssl === "true" || ssl === "1") return "verify-full";
  return ssl === "false" || ssl === "0" ? "disable" : ssl;
}

/** "system": those that this machine trusts; else a file. */
function readRoots(path: string): string | string[] {
  if (path === "system") return getCACertificates("system");
  return readFileOf("sslrootcert", path);
}

function namedPem(
  given: Parameters,
  name: "sslcert" | "sslkey",
  as: "cert" | "key",
): Partial<Record<"cert" | "key", string>> {
  const path = given[name];
  return path === undefined ? {} : { [as]: readFileOf(name, path) };
}

function readFileOf(name: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new WrongAddress(`the file of ${name} cannot be read: ${why}`, { cause });
  }
  // The library would go on without what it cannot read.
  if (!text.includes("-----BEGIN ")) {
    throw new WrongAddress(`the file of ${name} is no PEM file ("-----BEGIN …"): ${path}`);
  }
  return text;
}
