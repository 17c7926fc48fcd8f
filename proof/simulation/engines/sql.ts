// The SQL texts that the service sends, as a simulated PostgreSQL understands them. Each is known by
// its form; a text that nobody has taught it is refused loudly, so that a changed query cannot be
// simulated by an old meaning. That the meanings are right is conformance.test.ts's to show.
import type { SessionFacts } from "@stampede/infrastructure/src/engines/postgres/settings.ts";
import { list, queueRow } from "./sql-step.ts";
import type { SqlRow, Step, Values } from "./sql-step.ts";
import {
  addEvent,
  addGeneration,
  addQueue,
  addRejected,
  changeEvent,
  halt,
  moveMark,
  removeGeneration,
  replaceGeneration,
  takeOver,
  writeIssues,
} from "./sql-writes.ts";
import type { EventRecord, IssueRecord, Tables } from "./tables.ts";

/** What a primary tells that keeps what it acknowledges. */
export const SAFE_SERVER: SessionFacts = {
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  transaction_read_only: "off",
  server_version: "18.0",
  server_version_num: "180000",
  server_encoding: "UTF8",
};

/** A simulated session is always the same one: nobody stands in between. */
export const SESSION_PID = 1;

type Meaning = (values: Values, text: string, tables: Tables) => Step;

const CLOCK = String.raw`\(extract\(epoch FROM clock_timestamp\(\)\) \* 1000\)::float8 AS`;

const meanings: readonly (readonly [RegExp, Meaning])[] = [
  [
    new RegExp(`^SELECT ${CLOCK} ms, current_setting\\('fsync'\\)`),
    () => read(({ clockMs }) => [{ ms: clockMs(), ...SAFE_SERVER }]),
  ],
  [new RegExp(`^SELECT ${CLOCK} now_ms$`), () => read(({ clockMs }) => [{ now_ms: clockMs() }])],
  [
    /^SELECT current_setting\('transaction_read_only'\) AS \w+, pg_backend_pid\(\) AS pid$/,
    () => read(() => [{ ...SAFE_SERVER, pid: SESSION_PID }]),
  ],
  [/ FROM events e WHERE e\.id = \$1( FOR UPDATE)?$/, findEvent],
  [
    /^SELECT i\.event_id.* FROM \(SELECT 1\) one LEFT JOIN \( \(SELECT \$1.* AS user_id\) asked CROSS JOIN LATERAL /,
    readUnderLock,
  ],
  [/^WITH added AS \( INSERT INTO coupon_issues .* RETURNING issued$/, writeIssues],
  [/ FROM events e LEFT JOIN queues q ON .* WHERE e\.id = ANY \(\$1\)$/, readEvents],
  [
    /^SELECT i\.\w+.* FROM coupon_issues i WHERE i\.event_id = \$1 AND i\.seq > \$2 ORDER BY i\.seq( LIMIT \$3)?$/,
    issuesAfter,
  ],
  [
    /^SELECT i\.\w+.* FROM unnest\(\$1::text\[\], \$2::text\[\]\) AS asked \(event_id, user_id\) CROSS JOIN LATERAL /,
    issuesOfPairs,
  ],
  [
    /^SELECT g\.event_id AS id FROM redis_generations g$/,
    () => read(({ tables }) => [...tables.generations.keys()].map((id) => ({ id }))),
  ],
  [/^DELETE FROM redis_generations WHERE event_id = \$1 AND generation = \$2$/, removeGeneration],
  [
    /^INSERT INTO redis_generations AS g .* ON CONFLICT .* WHERE g\.generation = \$3 RETURNING g\.event_id$/,
    replaceGeneration,
  ],
  [/^INSERT INTO redis_generations \(event_id, generation\) VALUES \(\$1, \$2\)$/, addGeneration],
  // A creation that takes longer than the ten minutes after which its topic is doomed is not simulated.
  [/^INSERT INTO spare_topics \(topic\) VALUES \(\$1\)$/, () => read(() => [])],
  [
    /^DELETE FROM spare_topics WHERE topic = \$1 AND NOT doomed RETURNING topic$/,
    ([topic]) => read(() => [{ topic }]),
  ],
  [/^UPDATE spare_topics SET doomed = true WHERE NOT doomed AND begun_at </, () => read(() => [])],
  [
    /^UPDATE spare_topics SET doomed = true WHERE topic = \$1 RETURNING topic$/,
    ([topic]) =>
      read(({ tables }) =>
        queues(tables).some((row) => row["topic"] === topic) ? [] : [{ topic }],
      ),
  ],
  [/^SELECT s\.topic FROM spare_topics s WHERE s\.doomed AND NOT EXISTS/, () => read(() => [])],
  [/^INSERT INTO queues \(event_id, topic, topic_id\) VALUES \(\$1, \$2, \$3\)$/, addQueue],
  [
    /^INSERT INTO events \(id, name, mechanism, limit_quantity, pace, listed, opens_at, closes_at\)/,
    addEvent,
  ],
  [/^UPDATE events SET name = \$3, .* WHERE id = \$1 AND version = \$2 RETURNING id$/, changeEvent],
  [
    /^UPDATE queues SET epoch = epoch \+ 1 WHERE event_id = \$1 AND halted IS NULL RETURNING/,
    takeOver,
  ],
  [/^SELECT epoch::float8 AS epoch, .* FROM queues WHERE event_id = \$1( FOR UPDATE)?$/, readQueue],
  [/^INSERT INTO rejected_records \(event_id, ticket, reason\) SELECT/, addRejected],
  [
    /^UPDATE queues SET next_offset = \$4, last_winning_ticket = coalesce\(\$5, last_winning_ticket\) WHERE event_id = \$1/,
    moveMark,
  ],
  [
    /^UPDATE queues SET halted = \$2 WHERE event_id = \$1 AND halted IS NULL AND retired_at IS NULL RETURNING event_id$/,
    halt,
  ],
  [
    /^SELECT q\.event_id FROM queues q JOIN events e ON .* WHERE q\.halted IS NOT NULL AND q\.retired_at IS NULL AND e\.voided_at IS NULL$/,
    () => read(({ tables }) => queues(tables).filter((row) => row["halted"] !== null)),
  ],
  [
    /^SELECT q\.event_id, q\.topic, .* FROM events e JOIN queues q ON .* WHERE q\.halted IS NULL AND e\.issued < e\.limit_quantity/,
    survey,
  ],
  [
    /^SELECT event_id, .* AS mark FROM queues WHERE halted IS NULL AND retired_at IS NULL AND event_id > \$1 ORDER BY event_id LIMIT \$2$/,
    ([after, limit]) =>
      read(({ tables }) =>
        queues(tables)
          .filter((row) => row["halted"] === null && String(row["event_id"]) > String(after))
          .slice(0, Number(limit)),
      ),
  ],
  [
    /^SELECT event_id, .* AS mark FROM queues WHERE halted IS NULL AND retired_at IS NULL AND event_id = ANY \(\$1\)$/,
    ([ids]) =>
      read(({ tables }) =>
        queues(tables).filter(
          (row) => row["halted"] === null && list(ids).includes(String(row["event_id"])),
        ),
      ),
  ],
];

const known = new Map<string, { readonly text: string; readonly meaning: Meaning }>();

/** What the text means for these values. Throws where nobody has taught it. */
export function stepOf(text: string, values: Values, tables: Tables): Step {
  let entry = known.get(text);
  if (entry === undefined) {
    const plain = text.replaceAll(/\s+/g, " ").trim();
    const found = meanings.find(([form]) => form.test(plain));
    if (found === undefined) throw new Error(`the simulated PostgreSQL does not know: ${plain}`);
    entry = { text: plain, meaning: found[1] };
    known.set(text, entry);
  }
  return entry.meaning(values, entry.text, tables);
}

function read(run: Step["run"]): Step {
  return { locks: [], run };
}

function eventRow(event: EventRecord): SqlRow {
  return {
    id: event.id,
    name: event.name,
    mechanism: event.mechanism,
    limit_quantity: event.limit,
    issued: event.issued,
    version: event.version,
    paused: event.paused,
    pace: event.pace,
    listed: event.listed,
    voided: false,
    opens_at_ms: event.opensAtMs,
    closes_at_ms: event.closesAtMs,
  };
}

function issueRow(issue: IssueRecord): SqlRow {
  return {
    event_id: issue.eventId,
    seq: issue.seq,
    user_id: issue.userId,
    code: issue.code,
    ticket: issue.ticket,
    issued_at_ms: issue.issuedAtMs,
  };
}

function findEvent([id]: Values, text: string): Step {
  const locks = text.endsWith("FOR UPDATE") ? [`event ${String(id)}`] : [];
  return {
    locks,
    run({ tables, clockMs }) {
      const event = tables.events.get(String(id));
      return event === undefined ? [] : [{ ...eventRow(event), now_ms: clockMs() }];
    },
  };
}

function readUnderLock([id, persons]: Values): Step {
  return read(({ tables, clockMs }) => {
    const now_ms = clockMs();
    const rows = list(persons).flatMap((person) => {
      const mine = tables.mine(String(id), person);
      return mine === undefined ? [] : [{ ...issueRow(mine), now_ms }];
    });
    return rows.length === 0 ? [{ seq: null, now_ms }] : rows;
  });
}

function readEvents([ids]: Values): Step {
  return read(({ tables }) =>
    list(ids).flatMap((id) => {
      const event = tables.events.get(id);
      if (event === undefined) return [];
      return [
        {
          ...eventRow(event),
          ...queueRow(tables.queues.get(id)),
          generation: tables.generations.get(id) ?? null,
        },
      ];
    }),
  );
}

function queues(tables: Tables): SqlRow[] {
  return [...tables.queues]
    .map(([event_id, queue]): SqlRow => ({ event_id, ...queueRow(queue) }))
    .sort((a, b) => (String(a["event_id"]) < String(b["event_id"]) ? -1 : 1));
}

function issuesAfter([id, seq, limit]: Values): Step {
  return read(({ tables }) =>
    tables
      .issuesOf(String(id))
      .filter((issue) => issue.seq > Number(seq))
      .slice(0, limit === undefined ? undefined : Number(limit))
      .map(issueRow),
  );
}

function issuesOfPairs([eventIds, persons]: Values): Step {
  const ids = list(eventIds);
  return issuesOf(list(persons).map((person, index) => [String(ids[index]), person]));
}

function issuesOf(pairs: readonly (readonly [string, string])[]): Step {
  return read(({ tables }) =>
    pairs.flatMap(([id, person]) => {
      const mine = tables.mine(id, person);
      return mine === undefined ? [] : [issueRow(mine)];
    }),
  );
}

function readQueue([id]: Values, text: string): Step {
  return {
    locks: text.endsWith("FOR UPDATE") ? [`queue ${String(id)}`] : [],
    run({ tables }) {
      const queue = tables.queues.get(String(id));
      return queue === undefined ? [] : [{ ...queueRow(queue), code_key: queue.codeKey }];
    },
  };
}

function survey([aroundSeconds]: Values): Step {
  const aroundMs = Number(aroundSeconds) * 1_000;
  return read(({ tables, clockMs }) =>
    [...tables.events.values()]
      .filter((event) => {
        const queue = tables.queues.get(event.id);
        const { closesAtMs } = event;
        return (
          queue !== undefined &&
          queue.halted === null &&
          event.issued < event.limit &&
          event.opensAtMs < clockMs() + aroundMs &&
          (closesAtMs === null || closesAtMs > clockMs() - aroundMs)
        );
      })
      .map(({ id }) => ({ event_id: id, ...queueRow(tables.queues.get(id)) })),
  );
}
