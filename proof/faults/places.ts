// Where cases happen: the program, and the engines that a case may do something to. A lane keeps its
// place open for the next case of the same place, since starting engines takes longer than most faults.
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import type { FaultCase } from "./case.ts";
import { openNeighbours } from "./neighbours.ts";
import type { Beside, Neighbours } from "./neighbours.ts";
import { openEnds } from "./support/cleaning.ts";
import type { Cleaning } from "./support/cleaning.ts";
import { startKafkaCluster } from "./support/kafka-cluster.ts";
import type { KafkaCluster, KafkaNode } from "./support/kafka-cluster.ts";
import { openPairPlace } from "./support/pair-place.ts";
import type { PairPlace } from "./support/pair-place.ts";
import { startOnPrivateEngines } from "./support/private-engines.ts";
import type { PrivateEngines } from "./support/private-engines.ts";
import { startBehindProxies } from "./support/proxy-program.ts";
import type { ProxiedProgram } from "./support/proxy-program.ts";

export type PrivatePlace = PrivateEngines & {
  readonly program: Program;
  readonly others: readonly Program[];
};

export type Places = {
  /** The case starts whatever it needs itself. */
  readonly own: null;
  /** The program on the engines of all. */
  readonly shared: { readonly program: Program };
  /** The same with a proxy before each engine. */
  readonly proxied: ProxiedProgram;
  /** A PostgreSQL and a Redis that may be killed; Kafka is the one of all. */
  readonly private: PrivatePlace;
  /** The same with so few connections that a case may take them all. */
  readonly "few connections": PrivatePlace;
  /** The same with two instances of the program; the first one leads. */
  readonly "two instances": PrivatePlace;
  /** The program on a broker that may be killed. */
  readonly broker: { readonly program: Program; readonly broker: KafkaNode };
  /** The program on three of them, which make the topics that somebody asks for. */
  readonly brokers: { readonly program: Program; readonly cluster: KafkaCluster };
  /** A door and two deciders on engines that may all be killed. */
  readonly pairs: PairPlace;
};

/** Those that a sale's course runs in. */
export type SellingPlaceName = "private" | "few connections" | "two instances";

type Open<At> = (t: Cleaning) => Promise<At>;

const CONNECTIONS_FEW = "40";
const LIKE_MAKERS_OF_TOPICS = { "auto.create.topics.enable": "true" };

const openers: { readonly [Name in keyof Places]: Open<Places[Name]> } = {
  own: async () => null,
  shared: async (t) => ({ program: await startProgram(t) }),
  proxied: async (t) => startBehindProxies(t),
  private: async (t) => startOnPrivateEngines(t),
  "few connections": async (t) =>
    startOnPrivateEngines(t, {
      settings: { max_connections: CONNECTIONS_FEW, track_commit_timestamp: "on" },
    }),
  "two instances": async (t) => startOnPrivateEngines(t, { instances: 2 }),
  async broker(t) {
    const { brokers, nodes } = await startKafkaCluster(t, { nodes: 1 });
    return { broker: nodes[0]!, program: await startProgram(t, { KAFKA_BROKERS: brokers }) };
  },
  async brokers(t) {
    const cluster = await startKafkaCluster(t, { nodes: 3, settings: LIKE_MAKERS_OF_TOPICS });
    return { cluster, program: await startProgram(t, { KAFKA_BROKERS: cluster.brokers }) };
  },
  pairs: openPairPlace,
};

export type OpenPlace = {
  readonly name: keyof Places;
  readonly at: Places[keyof Places];
  /** Made when they are asked for, and anew after `forget`; null where the case starts its programs itself. */
  readonly neighbours: () => Promise<Neighbours | null>;
  readonly forget: () => void;
  readonly close: () => Promise<void>;
};

/** Where a fault is aimed at the next message to an engine, nobody else may send one. */
const AIMED: ReadonlySet<keyof Places> = new Set(["proxied", "pairs"]);

/** What people do beside the case. */
export function besideOf({ place, beside }: Pick<FaultCase, "place" | "beside">): Beside {
  return beside ?? (AIMED.has(place) ? "still" : "claimed");
}

export async function openPlace(name: keyof Places): Promise<OpenPlace> {
  const ends = openEnds();
  let neighbours: Neighbours | null = null;
  try {
    const at = await openers[name](ends);
    return {
      name,
      at,
      async neighbours() {
        if (at !== null) neighbours ??= await openNeighbours(at.program);
        return neighbours;
      },
      forget() {
        neighbours = null;
      },
      close: ends.run,
    };
  } catch (error) {
    await ends.run();
    throw error;
  }
}
