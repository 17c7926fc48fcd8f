// Whether Kafka can be used, and why not: asked every two seconds, told at the start and on change.
//
// States
//   up --no broker answers, none can be reached where it sends us, or rights are missing--> down
//   down --all of that is well--> up
// A broker that answers the first question is not enough: who appends and reads goes to the address
// that it advertises.
import { EngineFault } from "@stampede/domain";
import type { Broker } from "@platformatic/kafka";
import { timed } from "../telemetry.ts";
import type { RoundTrip } from "../telemetry.ts";
import { oncePerMinute } from "../time.ts";
import { addressOf } from "./access.ts";
import type { KafkaAccess } from "./access.ts";
import type { Cluster } from "./cluster.ts";
import { explain } from "./interview.ts";
import { readRights } from "./rights.ts";
import { isKafkaAnswer, kafkaReason, withKafkaAdvice } from "./words.ts";

/** What is told while nobody asks. */
export type Tell = {
  readonly warning: (message: string) => void;
  readonly error: (message: string) => void;
};

export type KafkaCondition = {
  readonly isUp: () => boolean;
  /** Asks now. Never rejects. */
  readonly probe: () => Promise<void>;
  /** Why it cannot be used; null while it can. */
  trouble(): string | null;
  /** Told of an append that failed: what Kafka refused is told, once a minute, and rights are looked at anew. */
  noteFailure(error: unknown): void;
  close(): Promise<void>;
};

const PROBE_EVERY_MS = 2_000;
/** What v3 cannot do without, and what it can. */
const RIGHTS_AGAIN_MS = { down: 10_000, beside: 60_000 };
const METADATA: RoundTrip = { engine: "kafka", operation: "metadata" };
/** What a leader that moves or starts answers for a moment, and what the state tells anyway. */
const PASSING = /LEADER|UNKNOWN_TOPIC|PRODUCER|SEQUENCE|TIMED_OUT/;
const DENIED = /AUTHORIZATION_FAILED/;

type ConditionLook = { readonly down: string | null; readonly beside: readonly string[] };

type Options = {
  readonly bootstrap: readonly Broker[];
  readonly access: KafkaAccess;
  readonly tell: Tell;
};

export function watchCondition(cluster: Cluster, options: Options): KafkaCondition {
  const { time } = cluster;
  const tell = tellOnChange(options.tell);
  // What Kafka refuses is met by every batch.
  const tellRefusal = oncePerMinute(time, (reason) => {
    options.tell.error(`Kafka refuses to append claims: ${withKafkaAdvice(reason)}`);
  });
  const rights = rememberedRights(cluster);
  const look = looker(cluster, { ...options, rights });
  let trouble: string | null = "it was not asked yet";
  let closed = false;
  let probing: Promise<void> | null = null;

  const probeOnce = async (): Promise<void> => {
    const seen = await look();
    if (closed) return;
    trouble = seen.down;
    tell(seen);
  };
  const probe = async (): Promise<void> => {
    probing ??= probeOnce().finally(() => {
      probing = null;
    });
    return probing;
  };
  const endProbing = time.every(PROBE_EVERY_MS, () => void probe());
  const isUp = (): boolean => trouble === null && !closed;
  return {
    isUp,
    probe,
    trouble: () => trouble,
    noteFailure(error) {
      const reason = kafkaReason(error);
      if (DENIED.test(reason)) rights.forget();
      if (isUp() && isKafkaAnswer(error) && !PASSING.test(reason)) tellRefusal(reason);
    },
    async close() {
      closed = true;
      endProbing();
      await probing;
    },
  };
}

/** One look at everything that claims need. */
function looker(
  cluster: Cluster,
  { bootstrap, access, rights }: Options & { readonly rights: RememberedRights },
): () => Promise<ConditionLook> {
  let explained: { readonly reason: string; readonly words: string } | null = null;
  return async () => {
    try {
      await timed(METADATA, async () => cluster.refresh());
      explained = null;
      const reached = await reachLook(cluster);
      if (reached.down !== null) return reached;
      const allowed = await rights.look();
      return { down: allowed.down, beside: [...reached.beside, ...allowed.beside] };
    } catch (error) {
      // Being away is an answer too: `isUp` tells it.
      if (!(error instanceof EngineFault)) throw error;
      // Who comes back may have other rights.
      rights.forget();
      const reason = kafkaReason(error);
      if (explained?.reason !== reason) {
        explained = { reason, words: await explain(reason, bootstrap, access) };
      }
      return { down: explained.words, beside: [] };
    }
  };
}

type RememberedRights = { look(): Promise<ConditionLook>; forget(): void };

/** All that is needed is believed until it is missed; what is missing is looked for again. */
function rememberedRights(cluster: Cluster): RememberedRights {
  let seen: { readonly look: ConditionLook; readonly untilMs: number } | null = null;
  return {
    async look() {
      if (seen !== null && cluster.time.nowMs() < seen.untilMs) return seen.look;
      const look = await rightsLook(cluster);
      seen = { look, untilMs: cluster.time.nowMs() + lastsMs(look) };
      return look;
    },
    forget() {
      seen = null;
    },
  };
}

function lastsMs({ down, beside }: ConditionLook): number {
  if (down !== null) return RIGHTS_AGAIN_MS.down;
  return beside.length > 0 ? RIGHTS_AGAIN_MS.beside : Infinity;
}

/** Each state once, until there is another one. */
function tellOnChange({ warning, error }: Tell): (look: ConditionLook) => void {
  let toldDown: string | null = null;
  let toldBeside: readonly string[] = [];
  return ({ down, beside }) => {
    if (down !== toldDown) {
      if (down === null) warning("Kafka can be used again.");
      else error(`Kafka cannot be used, and v3 takes no claims: ${withKafkaAdvice(down)}`);
      toldDown = down;
    }
    if (down !== null) return;
    for (const words of beside) {
      if (!toldBeside.includes(words)) warning(`Kafka can be used, but ${withKafkaAdvice(words)}`);
    }
    toldBeside = beside;
  };
}

/** Whether brokers can be reached where they send their clients. */
async function reachLook(cluster: Cluster): Promise<ConditionLook> {
  const brokers = cluster.brokers();
  if (brokers.length === 0) {
    return { down: "it answers, and none of its brokers is in service yet", beside: [] };
  }
  const looks = await Promise.all(
    brokers.map(async (broker) => ({ broker, reason: await whyUnreachable(cluster, broker) })),
  );
  const lost = looks.flatMap(({ broker, reason }) =>
    reason === null ? [] : [`${addressOf(broker)}, which cannot be reached: ${reason}`],
  );
  if (lost.length === brokers.length) {
    return { down: `it sends its clients to ${lost.join("; and to ")}`, beside: [] };
  }
  return { down: null, beside: lost.map((words) => `one of its brokers is ${words}`) };
}

/** Null where there is a connection to the broker. */
export async function whyUnreachable(cluster: Cluster, broker: Broker): Promise<string | null> {
  try {
    await cluster.connectControl(broker);
    return null;
  } catch (error) {
    return kafkaReason(error);
  }
}

async function rightsLook(cluster: Cluster): Promise<ConditionLook> {
  const { missingToServe, missingBeside, creation } = await readRights(cluster);
  if (missingToServe.length > 0) {
    return { down: lacks([...missingToServe, ...missingBeside]), beside: [] };
  }
  const beside = missingBeside.length === 0 ? [] : [lacks(missingBeside)];
  if (!("refused" in creation)) {
    return { down: null, beside: [...beside, ...leftOutWords(creation.leftOut)] };
  }
  const refused = DENIED.test(creation.refused)
    ? []
    : [`it would make no topic for a new event: ${creation.refused}`];
  return { down: null, beside: [...beside, ...refused] };
}

export function lacks(rights: readonly string[]): string {
  return `AUTHORIZATION_FAILED: this user has not the right ${rights.join(", nor ")}`;
}

export function leftOutWords(names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  return [`its own values of ${names.join(", ")} count for the topics: it lets nobody set these`];
}
