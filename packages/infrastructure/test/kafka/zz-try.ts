import { openKafka } from "../../src/kafka/open.ts";
import { encodeClaim } from "../../src/kafka/claim-codec.ts";
const k = await openKafka({ brokers: "127.0.0.1:56092" });
console.log("up", k.isUp());
let t = performance.now();
const log = await k.createLog("stampede.x." + Math.random().toString(36).slice(2));
console.log(log, performance.now() - t);
const w = k.openWriter(log.topic, (f) => console.log(f));
const mk = (i: number) =>
  encodeClaim({
    eventId: "x" as never,
    userId: ("p" + i) as never,
    code: "0123456789ABCDEFGHJKMNPQRS",
  });
t = performance.now();
console.log(await w.append([mk(1), mk(2)]), performance.now() - t);
for (let i = 0; i < 5; i++) {
  t = performance.now();
  console.log(await w.append(Array.from({ length: 2000 }, (_, j) => mk(j))), performance.now() - t);
}
const r = k.openReader(log);
t = performance.now();
const x = await r.read(1, 500);
console.log(
  performance.now() - t,
  x.kind === "read" && {
    n: x.records.length,
    end: x.end,
    f: x.records[0],
    age: Date.now() - x.appendedAtMs!,
  },
);
t = performance.now();
console.log(await r.read(10002, 500), performance.now() - t);
console.log(await r.read(20000, 500));
console.log(
  await k.readLogEnds([log.topic, "nope"]),
  await k.findBrokenLogs([
    { ...log, mark: 0 },
    { ...log, topic: "nope", mark: 0 },
  ]),
  await k.findBrokenLogs([{ ...log, mark: 20000 }]),
);
console.log(
  await k.openReader({ ...log, topicId: "00000000-0000-0000-0000-000000000001" }).read(0, 100),
);
await k.close();
