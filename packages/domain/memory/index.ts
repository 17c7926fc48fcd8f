export { memoryMechanisms } from "./mechanisms.ts";
export { memorySale, type MemorySale } from "./sale.ts";
