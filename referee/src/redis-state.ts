import { objection, type Objection } from "./findings.ts";
import type { Sale } from "./people.ts";
import type { RedisSale } from "./run.ts";

/** v2 when all is quiet: Redis and the rows tell the same story, and nothing is still reserved. */
export function judgeRedis(sale: Sale, redis: RedisSale): Objection[] {
  const { event, rows, people } = sale;
  const { limit } = event;
  const { finished = null, latched = null, counter } = redis;
  const isSoldOut = rows.length >= limit;
  const objections: Objection[] = [];
  const persons = new Set(redis.persons);
  const winners = new Set(rows.map(({ userId }) => userId));
  for (const name of persons) {
    if (winners.has(name)) continue;
    const detail = `${name} is reserved in Redis and has no row`;
    objections.push(objection("S16", detail, { persons: [name] }));
    const person = people.get(name);
    if (person !== undefined && person.firstClaim !== null) continue;
    const refused = person?.refusedClaim ?? null;
    const why = refused === null ? "never claimed" : "was refused every time";
    const shown = { persons: [name], attempts: [refused] };
    objections.push(objection("S19", `${name} is reserved in Redis and ${why}`, shown));
  }
  for (const name of winners) {
    if (persons.has(name) || finished === true) continue;
    objections.push(
      objection("S16", `${name} has a row and is unknown to Redis`, { persons: [name] }),
    );
  }
  if (counter !== persons.size) {
    const detail = `Redis counts ${counter} and holds ${persons.size} persons`;
    objections.push(objection("S16", detail));
  }
  if (persons.size > limit) {
    objections.push(objection("S17", `Redis holds ${persons.size} persons of at most ${limit}`));
  }
  if (finished === true && !isSoldOut) {
    objections.push(objection("S17", `Redis forgot it at ${rows.length} of ${limit} rows`));
  }
  if (finished === false && isSoldOut) {
    objections.push(objection("S16", `Redis still holds it at ${rows.length} of ${limit} rows`));
  }
  if (latched === true && !isSoldOut) {
    objections.push(objection("S17", `the latch is set at ${rows.length} of ${limit} rows`));
  }
  if (latched === false && isSoldOut) {
    objections.push(objection("S16", `the latch is not set at ${rows.length} of ${limit} rows`));
  }
  return objections;
}
