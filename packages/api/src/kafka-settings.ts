import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { unreadable } from "./key-sources.ts";

/** Where Kafka is, and how its brokers know us; the shape of infrastructure's `KafkaAccess`. */
export type KafkaSettings = {
  /** Null: Kafka is off. */
  readonly kafkaBrokers: readonly string[] | null;
  readonly kafkaAccess: {
    readonly sasl: {
      readonly mechanism: SaslMechanism;
      readonly username: string;
      readonly password: string;
    } | null;
    /** Texts in PEM form. */
    readonly tls: {
      readonly ca: string | null;
      readonly client: { readonly cert: string; readonly key: string } | null;
    } | null;
  };
};

type SaslMechanism = "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";
type Read = (name: string) => string | null;

const MECHANISMS: readonly SaslMechanism[] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
const PORT_MAX = 65_535;

/** Adds one sentence to `faults` for everything that is wrong. */
export function readKafka(read: Read, faults: string[]): KafkaSettings {
  const kafkaBrokers = readBrokers(read("KAFKA_BROKERS"), faults);
  const kafkaAccess = { sasl: readSasl(read, faults), tls: readTls(read, faults) };
  const isSet = kafkaAccess.sasl !== null || kafkaAccess.tls !== null;
  if (kafkaBrokers === null && isSet) {
    faults.push("KAFKA_BROKERS is not set, although other settings say how to get to Kafka");
  }
  return { kafkaBrokers, kafkaAccess };
}

function readBrokers(text: string | null, faults: string[]): readonly string[] | null {
  if (text === null) return null;
  const brokers = text.split(",").map((broker) => broker.trim());
  for (const [n, broker] of brokers.entries()) {
    const fault = brokerFault(broker, brokers.slice(0, n));
    if (fault !== null) faults.push(`KAFKA_BROKERS ${fault}`);
  }
  return brokers;
}

function brokerFault(broker: string, before: readonly string[]): string | null {
  if (broker === "") return "has a comma too many: write host:port, several with commas between";
  if (broker.includes("://")) {
    return `must be host:port without what stands before ://, not "${broker}"`;
  }
  const form = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:/@[\]]+):(?<port>\d{1,5})$/.exec(broker);
  if (form === null) {
    return `must be host:port, an IPv6 address as [::1]:9092, several with commas, not "${broker}"`;
  }
  const port = Number(form.groups?.["port"]);
  if (port < 1 || port > PORT_MAX) return `must have ports from 1 to ${PORT_MAX}, not ${port}`;
  // Three names of one broker would pass for three brokers, and every log is to have three copies then.
  return before.includes(broker) ? `names ${broker} twice` : null;
}

function readSasl(read: Read, faults: string[]): KafkaSettings["kafkaAccess"]["sasl"] {
  const named = read("KAFKA_SASL_MECHANISM");
  const username = read("KAFKA_USERNAME");
  const password = read("KAFKA_PASSWORD");
  if (named === null) {
    if (username !== null || password !== null) {
      faults.push(
        `KAFKA_SASL_MECHANISM is not set: how KAFKA_USERNAME signs in, one of ${MECHANISMS.join(", ")}`,
      );
    }
    return null;
  }
  const mechanism = MECHANISMS.find((known) => known === named);
  if (mechanism === undefined) {
    faults.push(`KAFKA_SASL_MECHANISM must be one of ${MECHANISMS.join(", ")}`);
  }
  if (username === null) faults.push("KAFKA_USERNAME is not set: who signs in to Kafka");
  if (password === null) faults.push("KAFKA_PASSWORD is not set: what KAFKA_USERNAME signs in by");
  if (mechanism === undefined || username === null || password === null) return null;
  return { mechanism, username, password };
}

function readTls(read: Read, faults: string[]): KafkaSettings["kafkaAccess"]["tls"] {
  const tls = read("KAFKA_TLS") ?? "off";
  const paths = {
    KAFKA_CA: read("KAFKA_CA"),
    KAFKA_CERT: read("KAFKA_CERT"),
    KAFKA_KEY: read("KAFKA_KEY"),
  };
  if (tls !== "on" && tls !== "off") faults.push("KAFKA_TLS must be on or off");
  if (tls !== "on") {
    for (const [name, path] of Object.entries(paths)) {
      if (path !== null && tls === "off") faults.push(`${name} is set, and KAFKA_TLS is not on`);
    }
    return null;
  }
  const ca = readFileAt("KAFKA_CA", paths.KAFKA_CA, faults);
  if (ca !== null && !isCertificate(ca)) {
    faults.push(`KAFKA_CA: ${paths.KAFKA_CA}: holds no certificate in PEM form`);
  }
  const cert = readFileAt("KAFKA_CERT", paths.KAFKA_CERT, faults);
  const key = readFileAt("KAFKA_KEY", paths.KAFKA_KEY, faults);
  if ((paths.KAFKA_CERT === null) !== (paths.KAFKA_KEY === null)) {
    faults.push("KAFKA_CERT and KAFKA_KEY go together: set both, or neither");
  }
  if (cert === null || key === null) return { ca, client: null };
  const fault = pairFault(cert, key);
  if (fault !== null) faults.push(`KAFKA_CERT and KAFKA_KEY: ${fault}`);
  return { ca, client: { cert, key } };
}

function readFileAt(name: string, path: string | null, faults: string[]): string | null {
  if (path === null) return null;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    faults.push(`${name}: ${path}: ${unreadable(error)}`);
    return null;
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== null;
  } catch {
    // It says so by throwing.
    return false;
  }
}

/** Null where they are one. */
function pairFault(cert: string, key: string): string | null {
  if (!isCertificate(cert)) return "the first holds no certificate in PEM form";
  if (/ENCRYPTED/.test(key)) return "the key wants a passphrase: take a file without one";
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return null;
    return "the key is not the certificate's";
  } catch {
    // OpenSSL's words name its own functions.
    return "the second holds no private key in PEM form";
  }
}
