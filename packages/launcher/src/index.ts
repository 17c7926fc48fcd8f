export { EngineUnavailable, engineTitles } from "./engine.ts";
export type {
  EngineName,
  EngineOptions,
  ProcessExit,
  RunningEngine,
  RunningProcess,
  StartEngine,
} from "./engine.ts";
export { StartFailed } from "./child.ts";
export { findKafka, startKafka } from "./kafka.ts";
export type { KafkaProgram } from "./kafka.ts";
export { freePort, isPortFree } from "./ports.ts";
export { startPostgres } from "./postgres.ts";
export { commandLine, isAlive, signalGroup } from "./processes.ts";
export { findRedis, startRedis } from "./redis.ts";
export { serverEnvironment, serverNodeFlags, startServer } from "./server.ts";
export type { RunningServer, ServerPlan } from "./server.ts";
export { LaunchRefused, launch } from "./launcher.ts";
export type { Launched, LaunchPlan } from "./launcher.ts";
export { missing, testEngine, testEngineVariables } from "./test-engine.ts";
