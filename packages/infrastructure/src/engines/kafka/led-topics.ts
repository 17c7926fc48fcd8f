// Which broker leads which topic, as remembered until somebody finds out that it does not any more.
import { EngineFault } from "@stampede/domain";
import type { Broker } from "@platformatic/kafka";

export type TopicFacts = {
  /** Null where the cluster could not tell. */
  readonly topicId: string | null;
  readonly partitions: number;
  /** The leader of partition 0; null while there is none. */
  readonly leader: Broker | null;
};

export type LedTopic = TopicFacts & { readonly leader: Broker };

export type LedTopics = {
  /** The topic as known since the last `forget`. Rejects "not-applied" where it has no leader. */
  find(topic: string): Promise<LedTopic>;
  /** The leaders of these topics, as `find` knows them; one that has none is missing. */
  findAll(topics: readonly string[]): Promise<ReadonlyMap<string, Broker>>;
  forget(topic: string): void;
};

const TOPICS_PER_QUESTION = 500;

/** `describe` asks the cluster about some hundreds of topics. */
export function ledTopics(
  describe: (topics: readonly string[]) => Promise<ReadonlyMap<string, TopicFacts>>,
): LedTopics {
  const known = new Map<string, LedTopic>();
  return {
    async find(topic) {
      const remembered = known.get(topic);
      if (remembered !== undefined) return remembered;
      const facts = (await describe([topic])).get(topic);
      if (facts === undefined) throw notApplied(`Kafka has no topic ${topic}`);
      const { leader } = facts;
      if (leader === null) throw notApplied(`topic ${topic} has no leader now`);
      const found = { ...facts, leader };
      known.set(topic, found);
      return found;
    },
    async findAll(topics) {
      const unknown = topics.filter((topic) => !known.has(topic));
      for (let from = 0; from < unknown.length; from += TOPICS_PER_QUESTION) {
        const page = unknown.slice(from, from + TOPICS_PER_QUESTION);
        for (const [topic, facts] of await describe(page)) {
          const { leader } = facts;
          if (leader !== null) known.set(topic, { ...facts, leader });
        }
      }
      const leaders = new Map<string, Broker>();
      for (const topic of topics) {
        const leader = known.get(topic)?.leader;
        if (leader !== undefined) leaders.set(topic, leader);
      }
      return leaders;
    },
    forget: (topic) => void known.delete(topic),
  };
}

function notApplied(message: string): EngineFault {
  return new EngineFault("kafka", "not-applied", message);
}
