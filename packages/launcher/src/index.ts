export { EngineUnavailable, engineTitles } from "./engine.ts";
export type { EngineName, RunningEngine } from "./engine.ts";
export { findKafka, startKafka } from "./kafka.ts";
export type { KafkaProgram } from "./kafka.ts";
export { freePort } from "./ports.ts";
export { startPostgres } from "./postgres.ts";
export { commandLine, isAlive, signalGroup } from "./processes.ts";
export { findRedis, startRedis } from "./redis.ts";
export { serverEnvironment, serverNodeFlags, startServer } from "./server.ts";
