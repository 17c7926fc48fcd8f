// What to change where PostgreSQL cannot be used: told at start-up and by --check, behind its own words.
import { EngineFault } from "@stampede/domain";
import { postgresWords, sqlState } from "./faults.ts";
import { UnsafeEngine } from "./settings.ts";

/** By SQLSTATE, by the driver's or Node's code, or by a text where there is neither. The first one counts. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /^28P01$/,
    "Look at user and password in DATABASE_URL (%40 for an @, %2F for a / in a password)",
  ],
  [
    /no encryption|SSL off/,
    "The server takes encrypted connections only, or none from this address: add sslmode=verify-full " +
      "to DATABASE_URL, or a line to pg_hba.conf",
  ],
  [/^28000$/, "Look at the user in DATABASE_URL, and let pg_hba.conf admit it from this address"],
  [
    /^3D000$/,
    "Make the database (CREATE DATABASE … ENCODING 'UTF8'), or name another in DATABASE_URL",
  ],
  [/^3F000$/, "Make the schema that search_path names (CREATE SCHEMA …), or name another"],
  [/^42501$/, "Grant this role what it lacks: docs/engines.md lists it"],
  [
    /^53300$/,
    "Raise max_connections (or the role's CONNECTION LIMIT), or lower POOL_SHARED, POOL_DECISIONS, " +
      "POOL_ROW_LOCK or WORKERS",
  ],
  [/^57P03$/, "It starts or stops: try again when it is up"],
  [
    /^08P01$/,
    "A pooler such as PgBouncer says so: if it is about a start-up parameter, take options out of " +
      "DATABASE_URL, or name it in ignore_startup_parameters and set it for the role",
  ],
  [/^(?:ENOTFOUND|EAI_AGAIN)$/, "Look at the host in DATABASE_URL, and at this machine's DNS"],
  [/^(?:ECONNREFUSED|ENOENT)$/, "Look at host and port in DATABASE_URL, and whether it runs there"],
  [
    /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*)$/,
    "This machine does not know who signed its certificate: name the CA's file by " +
      "sslrootcert=/path/ca.pem in DATABASE_URL, or encrypt without looking at it by sslmode=no-verify",
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    "Its certificate is for another name: use that host in DATABASE_URL, or sslmode=verify-ca with " +
      "the CA's file in sslrootcert",
  ],
  [
    /^CERT_(?:HAS_EXPIRED|NOT_YET_VALID)$/,
    "Its certificate is not valid now: renew it, or set this machine's clock",
  ],
  [/does not support SSL/, "Turn ssl on there, or write sslmode=disable into DATABASE_URL"],
  [/password must be a string/, "The server asks for a password, and DATABASE_URL has none"],
  [
    /read timeout|timeout expired|connection timeout|ETIMEDOUT/,
    "A firewall may drop what is sent, or a pooler in between has no connection free",
  ],
];

/** Empty where nothing is known to help. */
export function adviceFor(error: unknown): string {
  for (const text of [...codesOf(error), postgresWords(error)]) {
    const known = ADVICE.find(([form]) => form.test(text));
    if (known !== undefined) return known[1];
  }
  return "";
}

/** The same with what to do about it. */
export function withAdvice(error: unknown): unknown {
  // Which says it already.
  if (error instanceof EngineFault && error.cause instanceof UnsafeEngine) return error.cause;
  const advice = adviceFor(error);
  if (!(error instanceof EngineFault) || advice === "") return error;
  return new Error(`${error.message}. ${advice}.`, { cause: error });
}

function codesOf(error: unknown): readonly string[] {
  if (error instanceof EngineFault) return codesOf(error.cause);
  if (error instanceof AggregateError) return error.errors.flatMap(codesOf);
  // pg_hba.conf refuses by the state of a wrong user, and says why in words.
  if (sqlState(error) === "28000" && /no encryption|SSL off/.test(postgresWords(error))) return [];
  return error instanceof Error && "code" in error ? [String(error.code)] : [];
}
