import { randomBytes } from "node:crypto";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Admin } from "@platformatic/kafka";
import type { EngineOptions, RunningEngine } from "./engine.ts";
import { EngineUnavailable } from "./engine.ts";
import type { EngineHome } from "./engine-home.ts";
import { startInHome } from "./engine-home.ts";
import { findJava, javaEnvironment } from "./java.ts";
import { fetchByMaven } from "./maven.ts";
import type { FetchOptions } from "./maven.ts";
import { runTool } from "./run-tool.ts";

const remedy =
  "Install Java 17 or newer and Maven (Debian: apt-get install default-jre-headless maven), " +
  "or set KAFKA_BROKERS.";

const readyMsMax = 60_000;
const orderlyMs = 15_000;
const answerMsMax = 2_000;

/** How Kafka's programs are run: `java`, these arguments, then the name of a class and its own. */
export type KafkaProgram = {
  readonly java: string;
  readonly classPath: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
};

/** Finds Java and Kafka's jars; fetches these at the first call. */
export async function findKafka(options: FetchOptions = {}): Promise<KafkaProgram> {
  const found = findJava();
  if ("fault" in found) throw new EngineUnavailable("kafka", { reason: found.fault, remedy });
  const jars = await fetchByMaven({
    engine: "kafka",
    title: "Kafka 4.1.0",
    sizeMb: 43,
    folderName: "kafka-4.1.0",
    pomPath: fileURLToPath(new URL("kafka.pom.xml", import.meta.url)),
    goal: "copy-dependencies",
    settings: {},
    remedy,
    options,
  });
  const environment = javaEnvironment();
  return { java: found.java, classPath: ["-cp", join(jars, "*")], environment };
}

export type KafkaOptions = EngineOptions & {
  /** Gets the lines of server.properties and gives those that are used. */
  readonly configure?: (lines: readonly string[]) => readonly string[];
  /** For the tool that formats a new folder: people who sign in by SCRAM. */
  readonly formatArguments?: readonly string[];
};

/** Starts one Kafka node that is broker and controller (KRaft). Loopback only, and open there. */
export async function startKafka(options: KafkaOptions): Promise<RunningEngine> {
  const program = await findKafka(options);
  const { java, classPath, environment } = program;
  const place = { name: "kafka", mode: 0o700, stopSignal: "SIGTERM" } as const;
  return startInHome(place, options, async (home) => {
    writeFileSync(join(home.folder, "log4j2.properties"), kafkaLogging);
    const configured = (logFolder: string): string =>
      (options.configure ?? same)(configuration(home, logFolder)).join("\n");
    writeFileSync(join(home.folder, "server.properties"), configured("log"));
    writeFileSync(join(home.folder, "format.properties"), configured(home.draft));
    await format(home, program, options);
    const url = `127.0.0.1:${home.port}`;
    const plan = {
      command: java,
      args: [...heap, ...kafkaLoggingFlag, ...classPath, "kafka.Kafka", "server.properties"],
      environment,
      stopSignal: place.stopSignal,
      orderlyMs,
      check: () => answersMetadata(url),
      waitMsMax: readyMsMax,
      signal: options.signal,
    };
    return home.run(plan, url);
  });
}

/** Paths are relative to the node's folder: Kafka splits them at commas and unescapes them. */
function configuration(home: EngineHome, logFolder: string): readonly string[] {
  return [
    "process.roles=broker,controller",
    "node.id=1",
    `listeners=PLAINTEXT://127.0.0.1:${home.port},CONTROLLER://127.0.0.1:${home.secondPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${home.port}`,
    "controller.listener.names=CONTROLLER",
    `controller.quorum.voters=1@127.0.0.1:${home.secondPort}`,
    `log.dirs=${logFolder}`,
    "auto.create.topics.enable=false",
    // Back 7 s after a SIGKILL instead of 18 to 33 (measured, guarantees L3).
    "broker.session.timeout.ms=3000",
    "broker.heartbeat.interval.ms=500",
    // The controller's writes to nobody, twice a second by default: a fifth of what the node uses at rest
    // (2.5 % of a core instead of 3.2 %, side by side).
    "metadata.max.idle.interval.ms=5000",
    "offsets.topic.replication.factor=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "log.retention.ms=-1",
    "",
  ];
}

function same(lines: readonly string[]): readonly string[] {
  return lines;
}

// 350 MB resident; one collector thread is enough for one node beside a busy server.
const heap = ["-Xmx512m", "-XX:+UseSerialGC"];
export const kafkaLoggingFlag = ["-Dlog4j2.configurationFile=log4j2.properties"];

/** What the flag names: to the output, warnings and above. */
export const kafkaLogging = [
  "status=error",
  "appender.out.type=Console",
  "appender.out.name=out",
  "appender.out.layout.type=PatternLayout",
  "appender.out.layout.pattern=%d{ISO8601} %p %m (%c{1})%n%throwable",
  "rootLogger.level=warn",
  "rootLogger.appenderRef.out.ref=out",
  "",
].join("\n");

/** Formats beside the final place and renames, so that a half-formatted folder is never used. */
async function format(
  home: EngineHome,
  program: KafkaProgram,
  { formatArguments = [], signal }: KafkaOptions,
): Promise<void> {
  const finished = join(home.folder, "log");
  if (existsSync(finished)) return;
  // Kafka wants 16 bytes in base64 for URLs, and its tools take a leading "-" for an option.
  const clusterId = randomBytes(16).toString("base64url").replace(/^-/, "A");
  await runTool({
    title: "Formatting Kafka's folder",
    command: program.java,
    args: [
      // The fast compiler only: the tool lives for a second. Not for the node itself.
      "-XX:TieredStopAtLevel=1",
      ...kafkaLoggingFlag,
      ...program.classPath,
      "kafka.tools.StorageTool",
      "format",
      "--cluster-id",
      clusterId,
      "--config",
      "format.properties",
      ...formatArguments,
    ],
    folder: home.folder,
    environment: program.environment,
    signal,
  });
  renameSync(join(home.folder, home.draft), finished);
}

/** A connection proves little: the node listens seconds before it is let out of its fence. */
async function answersMetadata(broker: string): Promise<boolean> {
  const admin = new Admin({
    clientId: "stampede-launcher",
    bootstrapBrokers: [broker],
    retries: 0,
    connectTimeout: answerMsMax,
    requestTimeout: answerMsMax,
  });
  try {
    const metadata = await admin.metadata({ topics: [] });
    return metadata.brokers.size > 0;
  } catch {
    // Not listening yet, or still starting: asked again until the deadline.
    return false;
  } finally {
    await admin.close();
  }
}
