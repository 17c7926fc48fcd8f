// The engines of a compose deployment as plain processes: the same settings files, the same commands.
// What differs is said here, piece by piece, and a piece that is not found fails: addresses, folders,
// where a program lies, and for Kafka the flags that make a Java start quickly.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "@stampede/launcher/testing";
import {
  EngineUnavailable,
  findKafka,
  findRedis,
  freePort,
  startPostgres,
  type KafkaProgram,
} from "@stampede/launcher";
import { fieldsOf, interpolated, listOf, readFile } from "./compose-model.ts";
import type { Deployment, Fields } from "./compose-model.ts";
import { ask } from "./own-database.ts";
import { placedAt } from "./placed-files.ts";
import { ownFolder, patience, replacedExactly, runToEnd, start } from "./processes.ts";
import type { Cleanup, Running } from "./processes.ts";

export type Values = Readonly<Record<string, string>>;

/** Why Kafka cannot run here, or false. In CI that is a failure. */
export async function kafkaMissing(): Promise<string | false> {
  try {
    await findKafka();
    return false;
  } catch (error) {
    if (!(error instanceof EngineUnavailable) || process.env["STAMPEDE_NO_SKIPS"] === "1")
      throw error;
    return error.message;
  }
}

/** Where they are, as the service's environment names them. */
export type Engines = {
  readonly postgres: string;
  readonly redis: string;
  readonly brokers: readonly string[];
};

/** All engines of a deployment, in a folder of their own; a replica has its first copy. */
export async function nativeEngines(
  t: Cleanup,
  deployment: Deployment,
  values: Values,
): Promise<{ readonly engines: Engines; readonly brokers: readonly Broker[] }> {
  const folder = ownFolder(t);
  const [postgres, redis, brokers] = await Promise.all([
    nativePostgres(t, deployment, { folder, values }),
    nativeRedis(t, serviceOf(deployment, "redis"), { folder: join(folder, "master"), values }),
    nativeBrokers(t, deployment, folder),
  ]);
  const replica = deployment.services["redis-replica"];
  if (replica !== undefined) {
    const copy = { folder: join(folder, "replica"), values, master: redis.port };
    await nativeRedis(t, replica, copy);
  }
  const addresses = brokers.map(({ address }) => address);
  return { engines: { postgres, redis: redis.url, brokers: addresses }, brokers };
}

function serviceOf(deployment: Deployment, name: string): Fields {
  const service = deployment.services[name];
  if (service === undefined) throw new Error(`there is no service ${name}`);
  return service;
}

/** The environment as compose fills it in. */
export function environmentOf(service: Fields, values: Values): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fieldsOf(service["environment"])).map(([name, value]) => [
      name,
      interpolated(String(value), values),
    ]),
  );
}

function placedText(service: Fields, path: string): string {
  const place = placedAt(service, path);
  if (place === null) throw new Error(`nothing lies at ${path}`);
  return readFile(place);
}

/** PostgreSQL with the flags of the service's command, and its scripts run. */
async function nativePostgres(
  t: Cleanup,
  deployment: Deployment,
  options: { readonly folder: string; readonly values: Values },
): Promise<string> {
  const service = serviceOf(deployment, "postgres");
  const [command, ...flags] = listOf(service["command"]);
  if (command !== "postgres" || flags.some((flag, at) => (at % 2 === 0) !== (flag === "-c"))) {
    throw new Error("the command of postgres is not postgres -c name=value ...");
  }
  const settings = Object.fromEntries(
    flags.filter((flag) => flag !== "-c").map((flag) => flag.split("=") as [string, string]),
  );
  const postgres = await startPostgres({ dataFolder: options.folder, settings });
  t.after(() => postgres.stop());
  const script = placedText(service, "/docker-entrypoint-initdb.d/10-exporter.sql");
  const password = options.values["POSTGRES_EXPORTER_PASSWORD"];
  // psql's own words; there is no psql here.
  await ask(
    postgres.url,
    replacedExactly(script, [
      ["\\set exporter_password `cat /secrets/exporter/password`\n", "", 1],
      [":'exporter_password'", `'${password}'`, 1],
    ]),
  );
  return postgres.url;
}

/** Redis by the service's command on its redis.conf; `master` is where a replica finds its own. */
async function nativeRedis(
  t: Cleanup,
  service: Fields,
  options: {
    readonly folder: string;
    readonly values: Values;
    readonly master?: number;
  },
): Promise<{ readonly url: string; readonly port: number }> {
  const port = await freePort();
  mkdirSync(options.folder);
  const path = join(options.folder, "redis.conf");
  const conf = placedText(service, "/etc/stampede/redis.conf");
  writeFileSync(
    path,
    replacedExactly(conf, [
      ["bind * -::*", "bind 127.0.0.1", 1],
      ["port 6379", `port ${port}`, 1],
      ["dir /data", "dir ./", 1],
    ]),
  );
  const [shell = "", flag = "", text = ""] = listOf(service["command"]);
  const password = options.values["REDIS_PASSWORD"] ?? "";
  const replicas = options.master === undefined ? 0 : 1;
  const script = replacedExactly(interpolated(text, options.values), [
    ["$(cat /secrets/redis/password)", password, 1 + replicas],
    ["exec redis-server ", `exec ${await findRedis()} `, 1],
    ["/etc/stampede/redis.conf", path, 1],
    ["--replicaof redis 6379", `--replicaof 127.0.0.1 ${options.master}`, replicas],
  ]);
  const environment = environmentOf(service, options.values);
  const redis = await start(t, {
    title: "Redis",
    command: shell,
    args: [flag, script],
    folder: options.folder,
    environment,
    isReady: async () => redisSays(port),
  });
  if (options.master !== undefined) {
    await until(
      () => redis.output().includes("MASTER <-> REPLICA sync: Finished with success"),
      "the replica has its copy",
      patience,
    );
  }
  return { url: `redis://:${password}@127.0.0.1:${port}`, port };
}

async function redisSays(port: number): Promise<boolean> {
  try {
    // Redis closes a connection that speaks HTTP; refused is something else.
    await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2_000) });
    return true;
  } catch (error) {
    return !String((error as Error).cause).includes("ECONNREFUSED");
  }
}

export type Broker = { readonly name: string; readonly address: string; readonly running: Running };

/** Every service that is a broker, by its own server.properties, format and start as it commands. */
async function nativeBrokers(
  t: Cleanup,
  deployment: Deployment,
  folder: string,
): Promise<readonly Broker[]> {
  const names = Object.keys(deployment.services).filter((name) => /^kafka(?:-\d)?$/.test(name));
  const places = await Promise.all(
    names.map(async (name) => ({ name, client: await freePort(), controller: await freePort() })),
  );
  const kafka = await findKafka();
  return Promise.all(
    places.map(async ({ name, client, controller }) => {
      const service = serviceOf(deployment, name);
      const home = join(folder, name);
      mkdirSync(home, { recursive: true });
      const path = String(fieldsOf(service["environment"])["BROKER_PROPERTIES"]);
      const properties = placedText(service, path);
      const placed = replacedExactly(properties, [
        ["PLAINTEXT://:9092", `PLAINTEXT://127.0.0.1:${client}`, 1],
        ["CONTROLLER://:9093", `CONTROLLER://127.0.0.1:${controller}`, 1],
        [`PLAINTEXT://${name}:9092`, `PLAINTEXT://127.0.0.1:${client}`, 1],
        ...places.map((one) => [`@${one.name}:9093`, `@127.0.0.1:${one.controller}`, 1] as const),
        ["/var/lib/kafka/data", join(home, "data"), 1],
      ]);
      writeFileSync(join(home, "server.properties"), placed);
      const log = placedText(service, "/etc/stampede/log4j2.properties");
      writeFileSync(join(home, "log4j2.properties"), log);
      const running = await startBroker(t, { service, home, kafka, name });
      return { name, address: `127.0.0.1:${client}`, running };
    }),
  );
}

/** A Java for a short life: the fast compiler only, and one thread to collect. */
const quickly = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

async function startBroker(
  t: Cleanup,
  broker: {
    readonly service: Fields;
    readonly home: string;
    readonly kafka: KafkaProgram;
    readonly name: string;
  },
): Promise<Running> {
  const { service, home, kafka, name } = broker;
  const environment = environmentOf(service, {});
  const script = interpolated(listOf(service["command"]).at(-1) ?? "", {});
  const form =
    /^\/opt\/kafka\/bin\/kafka-storage\.sh (?<format>.*)\nexec \/opt\/kafka\/bin\/kafka-server-start\.sh (?<start>.*)\n$/;
  const { format, start: serve } = form.exec(script)?.groups ?? {};
  if (format === undefined || serve === undefined) {
    throw new Error(`${name} does not format its folder and start as it is known here:\n${script}`);
  }
  const java = [...quickly, ...kafka.classPath];
  const placed = (text: string): string =>
    text
      .replaceAll('"$BROKER_PROPERTIES"', join(home, "server.properties"))
      .replaceAll("/etc/stampede/", `${home}/`)
      .replace('"$KAFKA_CLUSTER_ID"', environment["KAFKA_CLUSTER_ID"] ?? "");
  const words = (text: string | undefined): string[] => placed(text ?? "").split(" ");
  const logging = words(environment["KAFKA_LOG4J_OPTS"]);
  const run = { command: kafka.java, folder: home, environment: kafka.environment };
  await runToEnd(`Formatting ${name}`, {
    ...run,
    args: [...logging, ...java, "kafka.tools.StorageTool", ...words(format)],
  });
  const heap = words(environment["KAFKA_HEAP_OPTS"]);
  return start(t, {
    ...run,
    title: name,
    args: [...heap, ...logging, ...java, "kafka.Kafka", ...words(serve)],
    // The service is asked whether it reaches them: it asks as a client does.
    isReady: async () => true,
  });
}
