// The one list of mechanisms: whatever shows, drives, measures or tests all of them iterates it.
import { groupCommit } from "./group-commit/mechanism.ts";
import { kafkaQueue } from "./kafka-queue/mechanism.ts";
import type { MechanismDescription } from "./mechanism.ts";
import { redisCounter } from "./redis-counter/mechanism.ts";
import { rowLock } from "./row-lock/mechanism.ts";

export const mechanisms: readonly MechanismDescription[] = [
  rowLock,
  redisCounter,
  kafkaQueue,
  groupCommit,
];
