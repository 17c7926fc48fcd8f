// A process of its own, for what only its environment can say: asks the address of its argument once and
// prints what it has learned.
import { fetchKeys } from "../../src/key-sources.ts";

const told: string[] = [];
const keys = fetchKeys({
  url: new URL(String(process.argv[2])),
  monotonicMs: () => performance.now(),
  onChange: (keySet) => told.push(...keySet.keys.map(({ kid }) => `key ${kid}`)),
  onFault: (faults) => told.push(...faults),
});
await keys.reread();
keys.close();
process.stdout.write(told.join("\n"));
