// A Kafka with the listeners that other people's Kafka has: sign-in, TLS, a client certificate, sessions
// that end, IPv6, an advertised address that leads nowhere; and with an authorizer, to which only `admin`
// and whoever comes by the plain listener are superusers.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Admin } from "@platformatic/kafka";
import { freePort, startKafka } from "@stampede/launcher";
import type { KafkaAccess } from "../../../src/engines/kafka/access.ts";
import { openAccess } from "../../../src/engines/kafka/access.ts";

const listenerNames = [
  "sasl",
  "sasltls",
  "tls",
  "mtls",
  "session",
  "six",
  "lost",
  "scram",
] as const;
type ListenerName = (typeof listenerNames)[number];

export type OwnKafka = {
  /** "host:port" of each listener; `plain` asks for nothing. */
  readonly brokers: Readonly<Record<ListenerName | "plain" | "controller", string>>;
  /** PEM texts: who vouches for the brokers, and the certificate and key of a client. */
  readonly pem: { readonly ca: string; readonly cert: string; readonly key: string };
  /** Files of the same. */
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string };
  admin(): Admin;
  stop(): Promise<void>;
  start(): Promise<void>;
};

/** False where a certificate can be made, else the reason; see `missing` of the launcher. */
export function missingOpenssl(): string | false {
  if (spawnSync("openssl", ["version"]).status === 0) return false;
  const reason = "openssl is not installed, which makes the certificates (apt-get install openssl)";
  if (process.env["STAMPEDE_NO_SKIPS"] === "1") throw new Error(reason);
  return reason;
}

/** Not the passwords of anything: each test run has a broker of its own on the loopback. */
export const PASSWORD = "try-it";

export function signedInAs(
  username: string,
  mechanism: NonNullable<KafkaAccess["sasl"]>["mechanism"] = "SCRAM-SHA-256",
  password = PASSWORD,
): KafkaAccess {
  return { ...openAccess, sasl: { mechanism, username, password } };
}

/** `users` sign in by SCRAM of both kinds, and by PLAIN. */
export async function startOwnKafka(
  t: { readonly after: (end: () => Promise<void>) => unknown },
  users: readonly string[],
): Promise<OwnKafka> {
  const dataFolder = await mkdtemp(join(tmpdir(), "stampede-kafka-"));
  const files = makeCertificates(dataFolder);
  const ports = new Map<ListenerName, number>();
  for (const name of listenerNames) ports.set(name, await freePort());
  const known = ["admin", ...users];
  const scram = known.flatMap((name) =>
    ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
      "--add-scram",
      `${mechanism}=[name=${name},password=${PASSWORD}]`,
    ]),
  );
  const configure = (lines: readonly string[]): readonly string[] =>
    configured(lines, { ports, files, known });
  const options = { dataFolder, configure, formatArguments: scram };
  let running = await startKafka(options);
  t.after(async () => {
    await running.stop();
    await rm(dataFolder, { recursive: true, force: true });
  });
  const { port, url } = running;
  const [, controllerPort] =
    /\[(?:\d+),(\d+)\]/.exec(readFileSync(join(dataFolder, "kafka", "ports.json"), "utf8")) ?? [];
  const addresses = [...ports].map(([name, at]) => [name, `${hostOf(name)}:${at}`]);
  return {
    brokers: {
      ...Object.fromEntries(addresses),
      plain: url,
      controller: `127.0.0.1:${controllerPort}`,
    },
    pem: {
      ca: readFileSync(files.ca, "utf8"),
      cert: readFileSync(files.cert, "utf8"),
      key: readFileSync(files.key, "utf8"),
    },
    files,
    admin() {
      const admin = new Admin({ clientId: "operator", bootstrapBrokers: [url] });
      t.after(async () => admin.close());
      return admin;
    },
    stop: async () => running.stop(),
    async start() {
      running = await startKafka({ ...options, port });
    },
  };
}

function hostOf(name: ListenerName): string {
  return name === "six" ? "[::1]" : "127.0.0.1";
}

/** Advertised on the listener `lost`: nobody listens there. */
export const NOWHERE = "127.0.0.1:1";

const protocols = {
  sasl: "SASL_PLAINTEXT",
  sasltls: "SASL_SSL",
  tls: "SSL",
  mtls: "SSL",
  session: "SASL_PLAINTEXT",
  six: "PLAINTEXT",
  lost: "PLAINTEXT",
  scram: "SASL_PLAINTEXT",
} as const satisfies Record<ListenerName, string>;

function configured(
  lines: readonly string[],
  {
    ports,
    files,
    known,
  }: {
    readonly ports: ReadonlyMap<ListenerName, number>;
    readonly files: { readonly store: string; readonly ca: string };
    readonly known: readonly string[];
  },
): readonly string[] {
  const listeners = [...ports].map(
    ([name, port]) => `${name.toUpperCase()}://${hostOf(name)}:${port}`,
  );
  const advertised = listeners.map((listener) => listener.replace(/^LOST:.*/, `LOST://${NOWHERE}`));
  const map = listenerNames.map((name) => `${name.toUpperCase()}:${protocols[name]}`);
  const people = known.map((name) => `user_${name}="${PASSWORD}"`).join(" ");
  const login = (listener: string, mechanism: string): string => {
    const plain = mechanism === "plain";
    const module = plain ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
    const who = plain ? ` ${people}` : "";
    const name = `listener.name.${listener}.${mechanism}.sasl.jaas.config`;
    return `${name}=org.apache.kafka.common.security.${module} required${who};`;
  };
  return [
    ...lines.map((line) => {
      if (line.startsWith("listeners=")) return [line, ...listeners].join(",");
      return line.startsWith("advertised.listeners=") ? [line, ...advertised].join(",") : line;
    }),
    `listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,${map.join(",")}`,
    "inter.broker.listener.name=PLAINTEXT",
    "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512",
    ...["sasl", "sasltls", "session", "scram"].flatMap((listener) =>
      ["plain", "scram-sha-256", "scram-sha-512"].map((mechanism) => login(listener, mechanism)),
    ),
    ...["plain", "scram-sha-256"].map(
      (mechanism) => `listener.name.session.${mechanism}.connections.max.reauth.ms=1500`,
    ),
    "message.max.bytes=65536",
    "ssl.keystore.type=PEM",
    `ssl.keystore.location=${files.store}`,
    "ssl.truststore.type=PEM",
    `ssl.truststore.location=${files.ca}`,
    "listener.name.mtls.ssl.client.auth=required",
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users=User:ANONYMOUS;User:admin;User:CN=stampede",
    "",
  ];
}

/** An authority, a broker's certificate for 127.0.0.1 and localhost, and a client's. */
function makeCertificates(folder: string): Record<"ca" | "cert" | "key" | "store", string> {
  const at = (name: string): string => join(folder, name);
  openssl(
    folder,
    "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
  );
  for (const [name, subject] of [
    ["broker", "/CN=broker"],
    ["client", "/CN=stampede"],
  ]) {
    openssl(
      folder,
      `req -newkey rsa:2048 -nodes -subj ${subject} -keyout ${name}.key -out ${name}.csr -addext subjectAltName=IP:127.0.0.1,DNS:localhost`,
    );
    openssl(
      folder,
      `x509 -req -days 2 -in ${name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -out ${name}.pem`,
    );
  }
  const store = [at("broker.key"), at("broker.pem")].map((path) => readFileSync(path, "utf8"));
  writeFileSync(at("store.pem"), store.join(""));
  return {
    ca: at("ca.pem"),
    cert: at("client.pem"),
    key: at("client.key"),
    store: at("store.pem"),
  };
}

function openssl(folder: string, command: string): void {
  const { status, stderr } = spawnSync("openssl", command.split(" "), {
    cwd: folder,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`openssl made no certificate: ${stderr}`);
}
