// Why a Redis is not used, for whoever has to act: its own words, and what to change.
import { EngineFault } from "@stampede/domain";
import type { Finding } from "../finding.ts";
import { replyOf, redisWords } from "./faults.ts";
import { refusedFinding } from "./settings.ts";

type Known = { readonly if: RegExp; readonly what: string; readonly advice: string };

const REPLICA = "it is a replica: promote it, or let REDIS_URL lead to the primary";
const NAMED =
  "put the right user and password into REDIS_URL (redis://user:password@host:port), special characters percent-encoded";

/** By what Redis answered. */
const REPLIES: readonly Known[] = [
  { if: /^(?:WRONGPASS|ERR invalid password)/, what: "sign-in", advice: NAMED },
  { if: /^NOAUTH/, what: "sign-in", advice: NAMED },
  {
    if: /^ERR (?:AUTH|Client sent AUTH)/,
    what: "sign-in",
    advice: "take the password out of REDIS_URL, or set one in Redis (requirepass, or an ACL user)",
  },
  {
    if: /^ERR wrong number of arguments for 'auth'/i,
    what: "sign-in",
    advice: "leave the user out of REDIS_URL (redis://:password@host:port): this server knows none",
  },
  {
    if: /^NOPERM/,
    what: "rights",
    advice: "give the user of REDIS_URL the rights in docs/engines.md",
  },
  {
    if: /^DENIED/,
    what: "sign-in",
    advice: "set a password in Redis (requirepass) and in REDIS_URL",
  },
  { if: /^(?:READONLY|MASTERDOWN)/, what: "role", advice: REPLICA },
  { if: /^LOADING/, what: "role", advice: "wait until it has read its data" },
  {
    if: /^MISCONF/,
    what: "persistence",
    advice: "it cannot write its files: look at its disk and its log",
  },
  {
    if: /^OOM/,
    what: "memory",
    advice: "give it more memory (maxmemory), or delete what others keep in it",
  },
  {
    if: /^NOREPLICAS/,
    what: "replicas",
    advice: "bring its replicas back, or lower min-replicas-to-write",
  },
  {
    if: /^(?:CLUSTERDOWN|MOVED|ASK|CROSSSLOT)|in cluster mode/,
    what: "mode",
    advice: "Redis runs in cluster mode: let REDIS_URL lead to one without it (cluster-enabled no)",
  },
  {
    if: /^BUSY/,
    what: "load",
    advice: "a script of somebody keeps it busy: wait, or end it by SCRIPT KILL",
  },
  {
    if: /^ERR max number of clients/,
    what: "connections",
    advice: "raise maxclients, or close other connections",
  },
  {
    if: /^ERR (?:DB index is out of range|invalid DB index)/,
    what: "database",
    advice: "name a database that it has at the end of REDIS_URL, or none",
  },
];

/** By what happened to the connection. */
const CONNECTIONS: readonly Known[] = [
  {
    if: /ENOTFOUND|EAI_AGAIN/,
    what: "address",
    advice: "no address is known for this host: look at REDIS_URL and at the name service",
  },
  {
    if: /ECONNREFUSED/,
    what: "address",
    advice: "nothing listens there: is Redis started, and are host and port of REDIS_URL right?",
  },
  {
    if: /self.signed|unable to (?:verify|get (?:local )?issuer)/i,
    what: "TLS",
    advice:
      "name the file with the certificate that signed it, or with the self-signed one itself, in REDIS_CA",
  },
  {
    if: /certificate has expired|certificate is not yet valid/,
    what: "TLS",
    advice: "renew the certificate of Redis, and look at this machine's clock",
  },
  {
    if: /altnames|ERR_TLS_CERT_ALTNAME/i,
    what: "TLS",
    advice: "REDIS_URL must name the host as the certificate of Redis does",
  },
  {
    if: /certificate.required|handshake.failure|bad.certificate|unknown.ca/i,
    what: "TLS",
    advice:
      "Redis wants a certificate of its client: set REDIS_CERT and REDIS_KEY, or tls-auth-clients no in Redis",
  },
  {
    if: /wrong.version.number|packet.length.too.long|record.layer|EPROTO/i,
    what: "TLS",
    advice: "this port speaks no TLS: use redis://, or the port that does",
  },
  {
    if: /RESP type|unexpected reply|protocol/i,
    what: "protocol",
    advice: "what listens there is no Redis: look at host and port of REDIS_URL",
  },
  {
    if: /no answer within|timeout|ETIMEDOUT/i,
    what: "address",
    advice:
      "it hangs, or a firewall drops what is sent; a port that speaks TLS wants rediss://, one that does not redis://",
  },
  {
    if: /closed unexpectedly|ECONNRESET|EPIPE|disconnects client/i,
    what: "address",
    advice:
      "it ended the connection without a word: it is just restarting, or its port speaks TLS and wants rediss://",
  },
];

/** Why Redis cannot be used now, as one finding. */
export function unusable(error: unknown): Finding {
  const reply = replyOf(error);
  const words = reply ?? redisWords(error instanceof EngineFault ? (error.cause ?? error) : error);
  const known = (reply === null ? CONNECTIONS : REPLIES).find((one) => one.if.test(words));
  const found = reply === null ? `no connection to Redis ("${words}")` : `Redis answers "${words}"`;
  return refusedFinding(known?.what ?? "address", found, known?.advice ?? "see docs/engines.md");
}
