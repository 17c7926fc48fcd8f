// An event's log: one topic with one partition, kept for ever. What a topic must be like, how it is
// made, and how one that is not like that any more is found out.
import { EngineFault } from "@stampede/domain";
import {
  ConfigResourceTypes,
  deleteTopicsV6,
  describeConfigsV4,
  listOffsetsV7,
  ResponseError,
} from "@platformatic/kafka";
import type { Broker, Connection } from "@platformatic/kafka";
import type { Cluster } from "../../engines/kafka/cluster.ts";
import type { TopicFacts } from "../../engines/kafka/led-topics.ts";
import { kafkaFault } from "../../engines/kafka/faults.ts";
import { createTopic } from "../../engines/kafka/topic-creation.ts";

export type EventLog = { readonly topic: string; readonly topicId: string };

type LogEnds = { readonly start: number | undefined; readonly end: number | undefined };

type ListOffsetsResponse = Awaited<ReturnType<typeof listOffsetsV7.api.async>>;

const DELETE_MS_MAX = 2_500;
/** By name, not by id. */
const NO_ID = "00000000-0000-0000-0000-000000000000";
const UNKNOWN_TOPIC = 3;
const LEADER_MS_MAX = 10_000;
const LEADER_POLL_MS = 5;

const LATEST = -1n;
const EARLIEST = -2n;

const RETENTION = ["retention.ms", "retention.bytes", "cleanup.policy"];

/**
 * Makes a topic for an event's log and waits until its leader answers. Rejects with `EngineFault`
 * ("not-applied"): a topic that was made nevertheless is nobody's.
 */
export async function createLog(cluster: Cluster, topic: string): Promise<EventLog> {
  await createTopic(cluster, topic, { validateOnly: false });
  return waitForLeader(cluster, topic);
}

async function waitForLeader(cluster: Cluster, topic: string): Promise<EventLog> {
  const deadlineMs = cluster.time.nowMs() + LEADER_MS_MAX;
  while (cluster.time.nowMs() < deadlineMs) {
    const facts = (await cluster.describe([topic])).get(topic);
    const { leader, topicId } = facts ?? { leader: null, topicId: null };
    if (leader !== null && topicId !== null) {
      const ends = await readEnds(cluster, leader, [topic], LATEST);
      if (ends.get(topic) === 0) return { topic, topicId };
    }
    await cluster.time.sleep(LEADER_POLL_MS);
  }
  throw new EngineFault("kafka", "not-applied", `the new topic ${topic} got no leader in time`);
}

/** Deletes topics; gives those that are not there any more. Rejects with `EngineFault`. */
export async function deleteLogs(
  cluster: Cluster,
  topics: readonly string[],
): Promise<readonly string[]> {
  const connection = await cluster.connectAny();
  const named = topics.map((name) => ({ name, topicId: NO_ID }));
  let response: DeleteTopicsResponse;
  try {
    response = await deleteTopicsV6.api.async(connection, named, DELETE_MS_MAX);
  } catch (error) {
    // One that is gone already must not hide what became of the others.
    const answer: unknown = error instanceof ResponseError ? error["response"] : null;
    if (!isDeletion(answer)) throw kafkaFault(error, "unknown", "deleting topics");
    response = answer;
  }
  return response.responses.flatMap(({ name, errorCode }) =>
    typeof name === "string" && (errorCode === 0 || errorCode === UNKNOWN_TOPIC) ? [name] : [],
  );
}

type DeleteTopicsResponse = Awaited<ReturnType<typeof deleteTopicsV6.api.async>>;

function isDeletion(answer: unknown): answer is DeleteTopicsResponse {
  return typeof answer === "object" && answer !== null && "responses" in answer;
}

/** What is seen of a log from outside. */
export type LogCondition = {
  /** The offset that the next record gets; null while no leader tells. */
  readonly end: number | null;
  /** Why the log must not be served any more; null while nothing is wrong. */
  readonly broken: string | null;
};

/**
 * Looks at logs, by topic, as `from` or any broker knows them. `mark` is an event's next undecided
 * offset, read before. What cannot be seen now (a partition without a leader) is not called broken.
 * `retention` includes the topics' settings, which cost the broker more than the rest.
 */
export async function inspectLogs(
  cluster: Cluster,
  logs: readonly (EventLog & { readonly mark: number })[],
  { retention, from }: { readonly retention: boolean; readonly from?: Broker },
): Promise<Map<string, LogCondition>> {
  if (logs.length === 0) return new Map();
  const facts = await cluster.describe(
    logs.map((log) => log.topic),
    from,
  );
  const ends = await endsByLeader(cluster, facts, LATEST);
  // A log that begins beyond its mark ends beyond it too: of all others nobody has to ask.
  const undecided = logs.filter(({ topic, mark }) => (ends.get(topic) ?? 0) > mark);
  const begun = new Set(undecided.map(({ topic }) => topic));
  const starts = await endsByLeader(
    cluster,
    new Map([...facts].filter(([topic]) => begun.has(topic))),
    EARLIEST,
  );
  const finite = retention
    ? await readRetention(cluster, [...facts.keys()], from)
    : new Map<string, string>();
  return new Map(
    logs.map((log) => {
      const { topic, mark } = log;
      const range = { start: starts.get(topic), end: ends.get(topic) };
      const broken =
        brokenTopic(log, facts.get(topic)) ?? brokenRange(mark, range) ?? finite.get(topic) ?? null;
      return [topic, { end: range.end ?? null, broken }];
    }),
  );
}

/** Why this topic is not the event's log; null while it is. */
export function brokenTopic(log: EventLog, facts: TopicFacts | undefined): string | null {
  if (facts === undefined) return `topic ${log.topic} does not exist`;
  if (facts.topicId === null) return null;
  if (facts.topicId !== log.topicId) {
    return `topic ${log.topic} was replaced: its id is ${facts.topicId}, not ${log.topicId}`;
  }
  return facts.partitions === 1
    ? null
    : `topic ${log.topic} has ${facts.partitions} partitions: its records have no single order any more`;
}

/** Why a log with these ends does not fit the mark; null while it does. */
export function brokenRange(mark: number, ends: LogEnds): string | null {
  if (ends.end !== undefined && ends.end < mark) {
    return `the log lost records: it ends at ${ends.end}, but ${mark} are decided`;
  }
  return ends.start !== undefined && ends.start > mark
    ? `the log lost records: it starts at ${ends.start}, but ${mark} is not decided yet`
    : null;
}

async function endsByLeader(
  cluster: Cluster,
  facts: ReadonlyMap<string, TopicFacts>,
  timestamp: bigint,
): Promise<Map<string, number>> {
  const led = Map.groupBy(facts, ([, { leader }]) =>
    leader === null ? "" : `${leader.host}:${leader.port}`,
  );
  const ends = new Map<string, number>();
  for (const topics of led.values()) {
    const leader = topics[0]?.[1].leader ?? null;
    if (leader === null) continue;
    const names = topics.map(([name]) => name);
    for (const [name, end] of await readEnds(cluster, leader, names, timestamp)) {
      ends.set(name, end);
    }
  }
  return ends;
}

async function readEnds(
  cluster: Cluster,
  leader: Broker,
  topics: readonly string[],
  timestamp: bigint,
): Promise<Map<string, number>> {
  const connection = await cluster.connectControl(leader);
  const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }];
  const asked = topics.map((name) => ({ name, partitions }));
  const response = await askEnds(connection, asked);
  const ends = new Map<string, number>();
  for (const { name, partitions } of response.topics) {
    const partition = partitions[0];
    if (partition?.errorCode === 0) ends.set(name, Number(partition.offset));
  }
  return ends;
}

async function askEnds(
  connection: Connection,
  topics: Parameters<typeof listOffsetsV7.api.async>[3],
): Promise<ListOffsetsResponse> {
  try {
    return await listOffsetsV7.api.async(connection, -1, 0, topics);
  } catch (error) {
    // One partition without a leader must not hide the ends of the others.
    const answer: unknown = error instanceof ResponseError ? error["response"] : null;
    if (isEnds(answer)) return answer;
    throw kafkaFault(error, "not-applied", "asking where logs end");
  }
}

function isEnds(answer: unknown): answer is ListOffsetsResponse {
  return typeof answer === "object" && answer !== null && "topics" in answer;
}

async function readRetention(
  cluster: Cluster,
  topics: readonly string[],
  from: Broker | undefined,
): Promise<Map<string, string>> {
  const connection = await (from === undefined
    ? cluster.connectAny()
    : cluster.connectControl(from));
  const resources = topics.map((resourceName) => ({
    resourceType: ConfigResourceTypes.TOPIC,
    resourceName,
    configurationKeys: RETENTION,
  }));
  const finite = new Map<string, string>();
  try {
    const response = await describeConfigsV4.api.async(connection, resources, false, false);
    for (const { resourceName, configs } of response.results) {
      const setting = configs.find(
        ({ name, value }) => value !== (name === "cleanup.policy" ? "delete" : "-1"),
      );
      if (setting === undefined) continue;
      const { name, value } = setting;
      finite.set(resourceName, `topic ${resourceName} forgets records: ${name} is ${value}`);
    }
  } catch (error) {
    if (!(error instanceof ResponseError)) {
      throw kafkaFault(error, "not-applied", "asking for the topics' settings");
    }
    // A topic that was deleted meanwhile: the next check sees that it is missing.
  }
  return finite;
}
