export { memorySale, type MemorySale } from "./sale.ts";
