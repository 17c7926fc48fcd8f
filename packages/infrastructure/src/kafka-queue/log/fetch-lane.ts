// Reads many logs by one request at a time to each broker that leads some of them. What a log's own
// records, its errors and its leader do to it stays with that log: the others of the request get theirs.
//
// A log is asked for by id, so that a topic made again under its name is an error and not another
// history; no consumer group, no committed offset, no reset policy: the one position that counts is the
// mark in PostgreSQL.
//
// Deliberately not done: fetch sessions, which would save naming quiet logs in each request. A lane
// bounds what that costs by waiting the longer the more logs it names.
import { EngineFault } from "@stampede/domain";
import { fetchV13, FetchIsolationLevels, ResponseError } from "@platformatic/kafka";
import type { Broker, Connection, ConnectionPool } from "@platformatic/kafka";
import type { Cluster } from "../../engines/kafka/cluster.ts";
import { kafkaFault } from "../../engines/kafka/faults.ts";
import { publishRoundTrip } from "../../engines/telemetry.ts";
import type { RoundTrip } from "../../engines/telemetry.ts";
import { readingOf } from "./log-reading.ts";
import type { LogReading } from "./log-reading.ts";
import type { EventLog } from "./topics.ts";

/** Somebody who wants to know what a log has from an offset on. */
export type Want = {
  readonly log: EventLog;
  readonly offset: number;
  /** Monotonic: from then on a reading without records is an answer too. */
  readonly emptyFromMs: number;
  readonly answer: (reading: LogReading) => void;
  /** No leader, or one that does not answer: nothing was read. */
  readonly fail: (fault: EngineFault) => void;
};

/** How a lane asks. */
export type LaneWays = {
  /** Of one log in one answer; the broker gives at least one batch of the first that has any. */
  readonly logBytesMax: number;
  /** Whether it is enough to know that there are records: they are read by another lane. */
  readonly onlyWhether: boolean;
  /** How long a broker may wait for records, by how many logs are named. */
  readonly waitMs: (logs: number) => number;
  /** Between two requests. */
  readonly restMs: (logs: number) => number;
};

const ANSWER_BYTES_MAX = 2_097_152;
/** Beyond the longest wait of a lane, so that the broker's own answer comes first. */
const REQUEST_MS_MAX = 5_000;
const FETCH: RoundTrip = { engine: "kafka", operation: "fetch" };
/** No fetch session: each request says all. */
const NO_SESSION = { id: 0, epoch: -1 };

type FetchResponse = Awaited<ReturnType<typeof fetchV13.api.async>>;

/** What is asked of one broker. */
type Led = { readonly leader: Broker; readonly wants: Set<Want> };

/** See the top of this file. */
export class FetchLane {
  readonly #cluster: Cluster;
  readonly #ways: LaneWays;
  readonly #pool: ConnectionPool;
  readonly #led = new Map<string, Led>();
  /** Where each want is now; null while its leader is looked for. */
  readonly #places = new Map<Want, Led | null>();
  #unplaced: Want[] = [];
  #closed = false;

  constructor(cluster: Cluster, ways: LaneWays) {
    this.#cluster = cluster;
    this.#ways = ways;
    this.#pool = cluster.openPool(REQUEST_MS_MAX);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Asks until the want is answered or failed, or the function that this gives is called. */
  add(want: Want): () => void {
    if (this.#closed) {
      want.fail(ended());
      return () => undefined;
    }
    this.#places.set(want, null);
    // All wants of a turn are placed by one question.
    if (this.#unplaced.length === 0) this.#cluster.time.endOfTurn(() => void this.#place());
    this.#unplaced.push(want);
    return () => this.#drop(want);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const want of this.#places.keys()) this.#fail(want, ended());
    await this.#cluster.closePool(this.#pool);
  }

  async #place(): Promise<void> {
    const wants = this.#unplaced.filter((want) => this.#places.has(want));
    this.#unplaced = [];
    try {
      const leaders = await this.#cluster.findAll(wants.map(({ log }) => log.topic));
      for (const want of wants) {
        const leader = leaders.get(want.log.topic);
        if (leader === undefined) this.#fail(want, noLeader(want.log.topic));
        else if (this.#places.has(want)) this.#join(want, leader);
      }
    } catch (error) {
      for (const want of wants) this.#fail(want, error);
    }
  }

  #join(want: Want, leader: Broker): void {
    const key = `${leader.host}:${leader.port}`;
    let led = this.#led.get(key);
    if (led === undefined) {
      led = { leader, wants: new Set() };
      this.#led.set(key, led);
      void this.#run(led, key);
    }
    led.wants.add(want);
    this.#places.set(want, led);
  }

  async #run(led: Led, key: string): Promise<void> {
    const { time } = this.#cluster;
    // The end of this turn: those that join in it share the first request.
    await new Promise<void>(time.endOfTurn);
    while (led.wants.size > 0) {
      const wants = [...led.wants];
      await this.#ask(led, wants, this.#ways.waitMs(wants.length));
      // What was named first may have filled the answer: it comes last in the next request.
      for (const want of wants.slice(0, wants.length / 2)) {
        if (led.wants.delete(want)) led.wants.add(want);
      }
      const restMs = this.#ways.restMs(wants.length);
      if (restMs > 0) await time.sleep(restMs);
    }
    // In the same turn: whoever joins from now on begins anew.
    this.#led.delete(key);
  }

  async #ask(led: Led, wants: readonly Want[], waitMs: number): Promise<void> {
    try {
      const connection = await this.#cluster.connect(this.#pool, led.leader);
      const askedAtMs = this.#cluster.time.nowMs();
      const response = await fetchLogs(connection, wants, { ...this.#ways, waitMs });
      const anything = this.#deliver(wants, response);
      // A poll that nothing came of took as long as it was told to.
      if (anything && !this.#ways.onlyWhether) publishRoundTrip(FETCH, askedAtMs);
    } catch (error) {
      if (wants.length === 1 || error instanceof EngineFault || this.#closed) {
        for (const want of wants) this.#fail(want, error);
        return;
      }
      // One log's records cannot be read, or the connection broke: each by itself tells which.
      for (const want of wants) if (led.wants.has(want)) await this.#ask(led, [want], 0);
    }
  }

  /** Whether there was anything to read. */
  #deliver(wants: readonly Want[], { responses }: FetchResponse): boolean {
    const fetched = new Map(responses.map(({ topicId, partitions }) => [topicId, partitions[0]]));
    let anything = false;
    for (const want of wants) {
      const log = fetched.get(want.log.topicId);
      if (log === undefined || !this.#places.has(want)) continue;
      const reading = readingOf(log, want.offset);
      if (reading === "moved") this.#fail(want, noLeader(want.log.topic));
      else if (this.#isNews(want, reading)) {
        anything ||= reading.kind === "read" && reading.records.length > 0;
        this.#drop(want);
        want.answer(reading);
      }
    }
    return anything;
  }

  #isNews(want: Want, reading: LogReading): boolean {
    if (reading.kind === "mismatch") this.#cluster.forget(want.log.topic);
    else if (reading.records.length === 0) {
      // An answer that others have filled tells where a log ends all the same.
      const isKnown = this.#ways.onlyWhether && reading.end > want.offset;
      return isKnown || this.#cluster.time.nowMs() >= want.emptyFromMs;
    }
    return true;
  }

  #drop(want: Want): void {
    this.#places.get(want)?.wants.delete(want);
    this.#places.delete(want);
  }

  #fail(want: Want, error: unknown): void {
    if (!this.#places.has(want)) return;
    this.#drop(want);
    this.#cluster.forget(want.log.topic);
    want.fail(kafkaFault(error, "not-applied", "reading the log"));
  }
}

async function fetchLogs(
  connection: Connection,
  wants: readonly Want[],
  { waitMs, logBytesMax }: { readonly waitMs: number; readonly logBytesMax: number },
): Promise<FetchResponse> {
  const topics = wants.map(({ log, offset }) => ({
    topicId: log.topicId,
    partitions: [
      {
        partition: 0,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(offset),
        lastFetchedEpoch: -1,
        partitionMaxBytes: logBytesMax,
      },
    ],
  }));
  try {
    return await fetchV13.api.async(
      connection,
      waitMs,
      1,
      ANSWER_BYTES_MAX,
      FetchIsolationLevels.READ_UNCOMMITTED,
      NO_SESSION.id,
      NO_SESSION.epoch,
      topics,
      [],
      "",
    );
  } catch (error) {
    return answerIn(error);
  }
}

/** What is wrong with one log is part of the answer, and must not hide the records of the others. */
function answerIn(error: unknown): FetchResponse {
  const answer: unknown = error instanceof ResponseError ? error["response"] : null;
  if (isAnswer(answer)) return answer;
  throw error;
}

function isAnswer(answer: unknown): answer is FetchResponse {
  return (
    typeof answer === "object" &&
    answer !== null &&
    "responses" in answer &&
    "errorCode" in answer &&
    answer.errorCode === 0
  );
}

function ended(): EngineFault {
  return new EngineFault("kafka", "not-applied", "this process reads no logs any more");
}

function noLeader(topic: string): EngineFault {
  return new EngineFault("kafka", "not-applied", `topic ${topic} has no leader`);
}
