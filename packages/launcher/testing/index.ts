// What tests of every package share: where the engines are, a network in between that fails, and how to
// wait for something.
export { frameSplitter } from "./proxy/frames.ts";
export type { OpenReader, Ports } from "./proxy/frames.ts";
export { REPLY_MAX, startProxy } from "./proxy/proxy.ts";
export type { FaultProxy, Trap } from "./proxy/proxy.ts";
export { missing, testEngine, testEngineVariables } from "./test-engine.ts";
export { until } from "./until.ts";
export type { UntilOptions } from "./until.ts";
