// K: what happens to Kafka, to an event's topic there, and to who decides by it. F: what Kafka itself does.
import type { FaultCase } from "../case.ts";
import { killedBeforeRowsCase } from "./application.ts";
import { fullBrokerCase, killedBrokerCase, robbedBrokerCase } from "./kafka-broker.ts";
import {
  allBrokersDownCase,
  deadLeaderCase,
  deletedTopicCase,
  tooFewReplicasCase,
} from "./kafka-cluster.ts";
import {
  brokenOffDeciderCase,
  cutOffDeciderCase,
  sleepingDeciderCase,
} from "./kafka-decider-alone.ts";
import { killedDeciderCase, pausedDeciderCase } from "./kafka-deciders.ts";
import { kafkaFacts } from "./kafka-facts.ts";
import {
  forgettingTopicCases,
  replacedTopicCase,
  secondPartitionCase,
  strangersReadCase,
  strangersWriteCase,
} from "./kafka-topic.ts";
import { lostProduceCase } from "./lost-replies.ts";
import { lateAcksCase } from "./network.ts";

export const kafkaCases: readonly FaultCase[] = [
  killedBrokerCase,
  deadLeaderCase,
  tooFewReplicasCase,
  lostProduceCase,
  lateAcksCase,
  robbedBrokerCase,
  replacedTopicCase,
  ...forgettingTopicCases,
  fullBrokerCase,
  killedDeciderCase,
  killedBeforeRowsCase,
  brokenOffDeciderCase,
  pausedDeciderCase,
  strangersReadCase,
  strangersWriteCase,
  sleepingDeciderCase,
  allBrokersDownCase,
  secondPartitionCase,
  cutOffDeciderCase,
  deletedTopicCase,
  ...kafkaFacts,
];
