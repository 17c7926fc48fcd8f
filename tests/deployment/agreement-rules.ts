// Where two files have to say the same: compose and the service's configuration, Prometheus, Grafana,
// nginx, Kafka. Each rule gives one sentence for each disagreement.
import { parse } from "yaml";
import type { Deployment, Fields } from "./compose-model.ts";
import { fieldsOf, healthPort, listOf, stringsIn, variablesIn } from "./compose-model.ts";
import { placedAt } from "./placed-files.ts";

/** What compose hands to the service although config.ts does not read it; empty on purpose. */
const passedUnread: ReadonlySet<string> = new Set<string>();

/**
 * What config.ts reads and compose does not pass: a secret that stands in a file, and how to get to a
 * Redis or a Kafka that runs elsewhere, for compose has its own.
 */
const readNotPassed: ReadonlySet<string> = new Set([
  "ADMIN_TOKEN",
  ...["CA", "CERT", "KEY"].map((name) => `REDIS_${name}`),
  ...["TLS", "CA", "CERT", "KEY", "SASL_MECHANISM", "USERNAME", "PASSWORD", "PASSWORD_FILE"].map(
    (name) => `KAFKA_${name}`,
  ),
]);

/** The names that config.ts and secret-files.ts read, out of their text. */
function namesInConfig(configText: string): readonly string[] {
  const names = Array.from(
    configText.matchAll(/\b(?:read|whole)\("(?<read>[A-Z_]+)"|"(?<file>[A-Z_]+_FILE)"/g),
    ({ groups }) => String(groups?.["read"] ?? groups?.["file"]),
  );
  return [...new Set(names)];
}

/** The services that run our server: those that are told a ROLE. */
function serversOf({ services }: Deployment): readonly (readonly [string, Fields])[] {
  return Object.entries(services).filter(
    ([, service]) => fieldsOf(service["environment"])["ROLE"] !== undefined,
  );
}

/** Both ways: nothing is passed in vain, and nothing is left to a default that nobody looked at. */
export function environmentAgrees(deployment: Deployment, configText: string): readonly string[] {
  const read = namesInConfig(configText);
  return serversOf(deployment).flatMap(([name, service]) => {
    const passed = Object.keys(fieldsOf(service["environment"]));
    return [
      ...passed
        .filter((variable) => !read.includes(variable) && !passedUnread.has(variable))
        .map((variable) => `${name} is passed ${variable}, which config.ts does not read`),
      ...read
        .filter((variable) => !passed.includes(variable) && !readNotPassed.has(variable))
        .map((variable) => `${name} is not passed ${variable}, which config.ts reads`),
    ];
  });
}

/** .env.example names what the compose files ask for, with its default: nothing has to be set. */
export function exampleAgrees(
  exampleText: string,
  composeTexts: readonly string[],
  configText: string,
): readonly string[] {
  const asked = composeTexts.flatMap(variablesIn);
  const required = asked.filter(({ fallback }) => fallback === null);
  const optional = new Map(asked.map(({ name, fallback }) => [name, fallback] as const));
  const lines = Array.from(
    exampleText.matchAll(/^(?<hidden># )?(?<name>[A-Z_]+)=(?<value>.*)$/gm),
    ({ groups }) => ({
      shown: groups?.["hidden"] === undefined,
      name: groups?.["name"] ?? "",
      value: groups?.["value"] ?? "",
    }),
  );
  const known = new Set([...optional.keys(), ...namesInConfig(configText)]);
  return [
    ...required.map(({ name }) => `a compose file does not start without ${name}`),
    ...[...optional]
      .filter(([name, value]) => !lines.some((line) => line.name === name && line.value === value))
      .map(([name, value]) => `.env.example does not say # ${name}=${value}`),
    ...lines
      .filter(({ shown }) => shown)
      .map(
        ({ name }) => `.env.example sets ${name}: a copy of it would not be what starts without`,
      ),
    ...lines
      .filter(({ name }) => !known.has(name))
      .map(({ name }) => `.env.example speaks of ${name}, which nothing reads`),
  ];
}

/** Of a job that runs on the host and only at times; compose gives its name to the host. */
const hostTargets = new Set(["lab"]);

export function targetsAgree(deployment: Deployment, prometheusText: string): readonly string[] {
  const jobs: unknown = fieldsOf(parse(prometheusText))["scrape_configs"];
  const targets = (Array.isArray(jobs) ? jobs : []).flatMap((job) => {
    const configs: unknown = fieldsOf(job)["static_configs"];
    return (Array.isArray(configs) ? configs : []).flatMap((one) =>
      listOf(fieldsOf(one)["targets"]),
    );
  });
  const hosts = new Set(targets.map((target) => target.split(":")[0]));
  const wanted = [
    ...serversOf(deployment).map(([name]) => name),
    ...Object.keys(deployment.services).filter((name) => name.endsWith("-exporter")),
  ];
  return [
    ...targets.flatMap((target) => targetFault(deployment, target)),
    ...wanted
      .filter((name) => !hosts.has(name))
      .map((name) => `Prometheus does not scrape ${name}`),
  ];
}

function targetFault({ services }: Deployment, target: string): readonly string[] {
  const [host = "", port] = target.split(":");
  if (host === "localhost") return portFault("prometheus", services["prometheus"], port);
  if (hostTargets.has(host)) {
    const named = listOf(services["prometheus"]?.["extra_hosts"]);
    return named.includes(`${host}:host-gateway`)
      ? []
      : [`Prometheus scrapes ${host}, which compose does not point at the host`];
  }
  return portFault(host, services[host], port);
}

function portFault(
  name: string,
  service: Fields | undefined,
  port: string | undefined,
): readonly string[] {
  if (service === undefined) return [`${name} is asked, but there is no such service`];
  const listens = healthPort(service);
  return listens === port ? [] : [`${name} is asked at port ${port}, and listens on ${listens}`];
}

/** Data sources lead to services, and dashboards lie where the provider looks. */
export function grafanaAgrees(
  deployment: Deployment,
  texts: {
    readonly dataSources: string;
    readonly providers: string;
    readonly ini: string;
    readonly exists: (path: string) => boolean;
  },
): readonly string[] {
  const grafana = deployment.services["grafana"] ?? {};
  const urls = stringsIn(parse(texts.dataSources)).filter((text) => text.startsWith("http"));
  const folders = stringsIn(parse(texts.providers)).filter((text) => text.startsWith("/"));
  const home = /^default_home_dashboard_path\s*=\s*(?<path>\S+)$/m.exec(texts.ini);
  const onHost = (path: string): string | null => placedAt(grafana, path);
  const paths = [...folders, ...(home === null ? [] : [home.groups?.["path"] ?? ""])];
  return [
    ...urls.flatMap((text) => {
      const { hostname, port } = new URL(text);
      return portFault(hostname, deployment.services[hostname], port);
    }),
    ...(urls.length === 0 ? ["Grafana has no data source"] : []),
    ...(folders.length === 0 ? ["Grafana has no folder of dashboards"] : []),
    ...paths
      .filter((path) => !texts.exists(onHost(path) ?? "nowhere"))
      .map((path) => `Grafana looks for ${path}, and nothing lies there`),
  ];
}

/** nginx leads to every process that takes claims, and to nobody else. */
export function nginxAgrees(deployment: Deployment, nginxText: string): readonly string[] {
  const upstream = /upstream api \{(?<body>[^}]*)\}/.exec(nginxText)?.groups?.["body"] ?? "";
  const servers = Array.from(upstream.matchAll(/^\s*server (?<address>[^\s;]+)/gm), ({ groups }) =>
    String(groups?.["address"]),
  );
  const doors = serversOf(deployment)
    .map(([name, service]) => [name, fieldsOf(service["environment"])] as const)
    .filter(([, { ROLE: role }]) => role !== "decider")
    .map(([name, { PORT: port }]) => `${name}:${String(port)}`);
  const nginx = deployment.services["nginx"] ?? {};
  const listens = /^\s*listen (?<port>\d+)/m.exec(nginxText)?.groups?.["port"];
  const published = listOf(nginx["ports"]).map((port) => port.split(":").at(-1));
  return [
    ...doors
      .filter((door) => !servers.includes(door))
      .map((door) => `nginx does not lead to ${door}`),
    ...servers
      .filter((server) => !doors.includes(server))
      .map((server) => `nginx leads to ${server}, where no claims are taken`),
    ...(published.includes(listens) ? [] : [`nginx listens on ${listens}, which is not published`]),
    ...portFault("nginx", nginx, listens),
  ];
}

/** A connection that the service closes first may swallow a claim: nginx lets go before any setting of it. */
export function nginxLetsGoFirst(nginxText: string, configText: string): readonly string[] {
  const upstream = /upstream api \{(?<body>[^}]*)\}/.exec(nginxText)?.groups?.["body"] ?? "";
  const kept = Number(/keepalive_timeout (?<seconds>\d+)s/.exec(upstream)?.groups?.["seconds"]);
  const bounds = /KEEP_ALIVE_SECONDS = \{[^}]*\bmin: (?<min>\d+)/.exec(configText)?.groups;
  const least = Number(bounds?.["min"]);
  return kept < least ? [] : [`nginx keeps connections for ${kept} s, the service for ${least} s`];
}

/** Each broker is reached by the name that it gives itself, and the voters are the brokers. */
export function kafkaAgrees(
  deployment: Deployment,
  read: (path: string) => string,
): readonly string[] {
  const brokers = Object.entries(deployment.services).flatMap(([name, service]) => {
    const path = fieldsOf(service["environment"])["BROKER_PROPERTIES"];
    if (typeof path !== "string") return [];
    const source = placedAt(service, path) ?? "nowhere";
    return [{ name, settings: propertiesOf(read(source)) }];
  });
  const voters = brokers.map(({ name, settings }) => `${settings["node.id"]}@${name}:9093`);
  const clients = brokers.map(({ name }) => `${name}:9092`);
  return [
    ...brokers.flatMap(({ name, settings }) => [
      ...(settings["advertised.listeners"] === `PLAINTEXT://${name}:9092`
        ? []
        : [`${name} tells its clients to come to ${settings["advertised.listeners"]}`]),
      ...(settings["controller.quorum.voters"] === voters.join(",")
        ? []
        : [`${name} knows other voters than ${voters.join(",")}`]),
      ...(settings["auto.create.topics.enable"] === "false"
        ? []
        : [`${name} makes topics that nobody asked for`]),
      ...replicationFaults(name, settings, brokers.length),
    ]),
    ...serversOf(deployment)
      .filter(
        ([, service]) => fieldsOf(service["environment"])["KAFKA_BROKERS"] !== clients.join(","),
      )
      .map(([name]) => `${name} does not know all of ${clients.join(",")}`),
  ];
}

function replicationFaults(
  name: string,
  settings: Readonly<Record<string, string>>,
  brokers: number,
): readonly string[] {
  if (brokers < 3) return [];
  const wanted = { "default.replication.factor": "3", "min.insync.replicas": "2" };
  return Object.entries(wanted)
    .filter(([setting, value]) => settings[setting] !== value)
    .map(([setting, value]) => `${name} has not ${setting}=${value}`);
}

export function propertiesOf(text: string): Readonly<Record<string, string>> {
  const lines = text.split("\n").filter((line) => line.includes("=") && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}
