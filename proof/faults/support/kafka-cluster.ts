// Kafka nodes (KRaft, each broker and controller) of a test's own, which it may kill, freeze and rob.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { findKafka, freePort, kafkaLogging, kafkaLoggingFlag } from "@stampede/launcher";
import type { KafkaProgram } from "@stampede/launcher";
import { brokersKnownTo } from "./kafka-operator.ts";

const READY_MS_MAX = 60_000;
const POLL_MS = 50;
const WORDS_MAX = 3_000;

export type KafkaNode = {
  readonly id: number;
  /** "host:port", for KAFKA_BROKERS. */
  readonly broker: string;
  /** Where its partitions lie, each in a folder `TOPIC-0`. */
  readonly logFolder: string;
  readonly pid: number;
  /** SIGKILL; resolves when it is gone. */
  readonly kill: () => Promise<void>;
  /** SIGSTOP: it is silent, and its connections stay. */
  readonly freeze: () => void;
  /** SIGCONT. */
  readonly thaw: () => void;
  /** Starts it again on its folder and port. Does not wait until it answers. */
  readonly start: () => void;
  /** Starts it where it does not run, and waits until the cluster counts it in. */
  readonly restart: () => Promise<void>;
};

export type KafkaCluster = {
  /** All brokers, with commas. */
  readonly brokers: string;
  readonly nodes: readonly KafkaNode[];
  /** By the id of metadata. */
  readonly node: (id: number) => KafkaNode;
  /** Milliseconds from the first start until all nodes were in. */
  readonly startMs: number;
};

export type ClusterPlan = {
  readonly nodes: 1 | 3;
  /** Lines for every node's server.properties. */
  readonly settings?: Readonly<Record<string, string>>;
};

/** Ended by SIGKILL and its folder removed after the test. */
export async function startKafkaCluster(
  t: Pick<TestContext, "after">,
  plan: ClusterPlan,
): Promise<KafkaCluster> {
  const startedMs = performance.now();
  const program = await findKafka();
  const folder = mkdtempSync(join(tmpdir(), "stampede-kafka-"));
  const running = new Map<number, ChildProcess>();
  t.after(async () => {
    await Promise.all([...running.values()].map(endNow));
    rmSync(folder, { recursive: true, force: true });
  });
  const places: Place[] = [];
  for (let id = 1; id <= plan.nodes; id += 1) {
    const ports = { port: await freePort(), controllerPort: await freePort() };
    places.push({ id, folder: join(folder, `node-${id}`), ...ports });
  }
  prepare(places, program, plan);
  const brokers = places.map(({ port }) => `127.0.0.1:${port}`).join(",");
  const nodes = places.map((place) => nodeOf(place, program, running));
  for (const node of nodes) node.start();
  await Promise.all(nodes.map(async (node) => node.restart()));
  const node = (id: number): KafkaNode => {
    const found = nodes.find((one) => one.id === id);
    assert.ok(found !== undefined, `there is no node ${id}`);
    return found;
  };
  return { brokers, nodes, node, startMs: performance.now() - startedMs };
}

type Place = {
  readonly id: number;
  readonly folder: string;
  readonly port: number;
  readonly controllerPort: number;
};

function nodeOf(
  place: Place,
  program: KafkaProgram,
  running: Map<number, ChildProcess>,
): KafkaNode {
  const { id, folder } = place;
  const broker = `127.0.0.1:${place.port}`;
  const child = (): ChildProcess => {
    const found = running.get(id);
    assert.ok(found !== undefined, `node ${id} was never started`);
    return found;
  };
  const node: KafkaNode = {
    id,
    broker,
    logFolder: join(folder, "log"),
    get pid() {
      return child().pid ?? 0;
    },
    kill: async () => endNow(child()),
    freeze: () => void child().kill("SIGSTOP"),
    thaw: () => void child().kill("SIGCONT"),
    start() {
      if (running.has(id) && !hasEnded(child())) return;
      running.set(id, launch(place, program));
    },
    async restart() {
      node.start();
      const endMs = performance.now() + READY_MS_MAX;
      while (!(await isCounted(node))) {
        const words = (): string =>
          readFileSync(join(folder, "engine.log"), "utf8").slice(-WORDS_MAX);
        assert.ok(!hasEnded(child()), `node ${id} ended. Its last words:\n${words()}`);
        assert.ok(performance.now() < endMs, `node ${id} is not ready. It says:\n${words()}`);
        await pause(POLL_MS);
      }
    },
  };
  return node;
}

/** Whether the node answers, and says itself that the cluster has let it in. */
async function isCounted({ id, broker }: Pick<KafkaNode, "id" | "broker">): Promise<boolean> {
  try {
    return (await brokersKnownTo(broker)).includes(id);
  } catch {
    // It does not listen yet.
    return false;
  }
}

function launch(place: Place, { java, classPath, environment }: KafkaProgram): ChildProcess {
  const log = openSync(join(place.folder, "engine.log"), "a");
  try {
    // In this process's group: whoever ends the test run ends the nodes with it.
    return spawn(
      java,
      [...heap, ...kafkaLoggingFlag, ...classPath, "kafka.Kafka", "server.properties"],
      {
        cwd: place.folder,
        env: environment,
        stdio: ["ignore", log, log],
      },
    );
  } finally {
    closeSync(log);
  }
}

// The fast compiler only: three nodes start on two cores, and none lives long enough for the other.
const heap = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/** Formats the first node's folder by Kafka's tool and gives the others a copy of their own. */
function prepare(places: readonly Place[], program: KafkaProgram, plan: ClusterPlan): void {
  const clusterId = identifier();
  const voters = places.map(({ id, controllerPort }) => `${id}@127.0.0.1:${controllerPort}`);
  for (const place of places) {
    mkdirSync(place.folder, { recursive: true });
    writeFileSync(join(place.folder, "log4j2.properties"), kafkaLogging);
    const lines = propertiesOf(place, voters.join(","), plan);
    writeFileSync(join(place.folder, "server.properties"), lines);
  }
  const [first, ...others] = places;
  assert.ok(first !== undefined);
  const tool = ["kafka.tools.StorageTool", "format", "--cluster-id", clusterId];
  const { status, stdout, stderr } = spawnSync(
    program.java,
    [
      "-XX:TieredStopAtLevel=1",
      ...kafkaLoggingFlag,
      ...program.classPath,
      ...tool,
      "--config",
      "server.properties",
    ],
    { cwd: first.folder, encoding: "utf8", env: program.environment },
  );
  assert.equal(status, 0, `Kafka's folder was not formatted:\n${stdout}\n${stderr}`);
  for (const { id, folder } of others) {
    cpSync(join(first.folder, "log"), join(folder, "log"), { recursive: true });
    const own = `version=1\ncluster.id=${clusterId}\nnode.id=${id}\ndirectory.id=${identifier()}\n`;
    writeFileSync(join(folder, "log", "meta.properties"), own);
  }
}

function propertiesOf(place: Place, voters: string, { nodes, settings = {} }: ClusterPlan): string {
  const copies = String(nodes);
  const all: Record<string, string> = {
    "process.roles": "broker,controller",
    "node.id": String(place.id),
    listeners: `PLAINTEXT://127.0.0.1:${place.port},CONTROLLER://127.0.0.1:${place.controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${place.port}`,
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": voters,
    "log.dirs": "log",
    "auto.create.topics.enable": "false",
    // The same deadlines as the product's own node, so that recovery is measured with them.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    // A follower that is silent leaves the in-sync replicas after this, so that ISR < 2 is seen.
    "replica.lag.time.max.ms": "3000",
    "offsets.topic.replication.factor": copies,
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": copies,
    "transaction.state.log.min.isr": "1",
    "log.retention.ms": "-1",
    ...settings,
  };
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

/** 16 random bytes as Kafka writes them; its tools take a leading "-" for an option. */
function identifier(): string {
  return randomBytes(16).toString("base64url").replace(/^-/, "A");
}

async function endNow(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
