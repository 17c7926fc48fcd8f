// The statements that change something. A change is done at the commit; what it needs is checked when
// the statement runs, on rows that it has locked.
import { list, queueRow } from "./sql-step.ts";
import type { Step, Values } from "./sql-step.ts";
import { ServerError } from "./tables.ts";

export function writeIssues(values: Values, text: string): Step {
  const [id, issuedAtMs, seqs, persons, codes, tickets, issued] = values;
  const eventId = String(id);
  const rows = list(persons).map((userId, index) => ({
    eventId,
    userId,
    seq: Number((seqs as number[])[index]),
    code: list(codes)[index]!,
    ticket: (tickets as (number | null)[])[index] ?? null,
    issuedAtMs: Number(issuedAtMs),
    committedMs: Number.NaN,
  }));
  const keys = rows.flatMap(({ seq, userId, code }) => [
    `seq ${eventId} ${seq}`,
    `user ${eventId} ${userId}`,
    `code ${code}`,
  ]);
  return {
    locks: [`event ${eventId}`, ...keys],
    run({ tables, write }) {
      const event = tables.events.get(eventId);
      if (new Set(keys).size < keys.length) throw new ServerError("23505", "duplicate key");
      for (const row of rows) {
        const taken =
          tables.issues.get(eventId)?.has(row.seq) === true ||
          tables.mine(eventId, row.userId) !== undefined ||
          tables.codes.has(row.code);
        if (taken) throw new ServerError("23505", `duplicate key: ${row.seq} ${row.userId}`);
      }
      if (event === undefined) throw new ServerError("23503", "no such event");
      write((committedMs) => {
        for (const row of rows) tables.addIssue({ ...row, committedMs });
      });
      if (/ AND issued = \$7/.test(text) && event.issued !== issued) return [];
      const counted = / SET issued = \$7 /.test(text) ? Number(issued) : event.issued;
      const next = counted + rows.length;
      if (next > event.limit) throw new ServerError("23514", "events_issued_within_limit");
      write(() => {
        event.issued = next;
      });
      return [{ issued: next }];
    },
  };
}

export function replaceGeneration([id, next, seen]: Values): Step {
  const eventId = String(id);
  return {
    locks: [`generation ${eventId}`],
    run({ tables, write }) {
      const now = tables.generations.get(eventId);
      if (now !== undefined && now !== seen) return [];
      write(() => void tables.generations.set(eventId, String(next)));
      return [{ event_id: eventId }];
    },
  };
}

export function removeGeneration([id, seen]: Values): Step {
  const eventId = String(id);
  return {
    locks: [`generation ${eventId}`],
    run({ tables, write }) {
      if (tables.generations.get(eventId) === seen) {
        write(() => void tables.generations.delete(eventId));
      }
      return [];
    },
  };
}

export function addGeneration([id, generation]: Values): Step {
  return {
    locks: [`generation ${String(id)}`],
    run({ tables, write }) {
      if (tables.generations.has(String(id))) throw new ServerError("23505", "redis_generations");
      write(() => void tables.generations.set(String(id), String(generation)));
      return [];
    },
  };
}

export function addQueue([id, topic, topicId]: Values): Step {
  return {
    locks: [`queue ${String(id)}`],
    run({ tables, write }) {
      if (tables.queues.has(String(id))) throw new ServerError("23505", "queues");
      write(
        () =>
          void tables.queues.set(String(id), {
            topic: String(topic),
            topicId: String(topicId),
            // As random as a run of one seed may be.
            codeKey: `the key of ${String(topicId)}`,
            epoch: 0,
            nextOffset: 0,
            lastWinningTicket: null,
            halted: null,
          }),
      );
      return [];
    },
  };
}

export function addEvent(values: Values): Step {
  const [id, name, mechanism, limit, pace, listed, opensAtMs, closesAtMs] = values;
  return {
    locks: [`event ${String(id)}`],
    run({ tables, write }) {
      if (tables.events.has(String(id))) throw new ServerError("23505", "events");
      write(
        () =>
          void tables.events.set(String(id), {
            id: String(id),
            name: String(name),
            mechanism: String(mechanism),
            limit: Number(limit),
            pace: pace === null ? null : Number(pace),
            listed: listed === true,
            opensAtMs: Number(opensAtMs),
            closesAtMs: closesAtMs === null ? null : Number(closesAtMs),
            issued: 0,
            version: 1,
            paused: false,
            createdSeq: tables.events.size + 1,
          }),
      );
      return [];
    },
  };
}

export function changeEvent(values: Values): Step {
  const [id, version, name, limit, pace, paused, next, listed, opensAtMs, closesAtMs] = values;
  return {
    locks: [`event ${String(id)}`],
    run({ tables, write }) {
      const event = tables.events.get(String(id));
      if (event === undefined || event.version !== version) return [];
      if (event.issued > Number(limit))
        throw new ServerError("23514", "events_issued_within_limit");
      write(() => {
        Object.assign(event, { name, limit, pace, paused, listed, version: next });
        Object.assign(event, { opensAtMs, closesAtMs });
      });
      return [{ id }];
    },
  };
}

export function takeOver([id]: Values): Step {
  return {
    locks: [`queue ${String(id)}`],
    run({ tables, write }) {
      const queue = tables.queues.get(String(id));
      if (queue === undefined || queue.halted !== null) return [];
      const epoch = queue.epoch + 1;
      write(() => {
        queue.epoch = epoch;
      });
      return [{ ...queueRow(queue), epoch }];
    },
  };
}

export function addRejected([id, tickets, reasons]: Values): Step {
  const eventId = String(id);
  const places = tickets as number[];
  return {
    locks: places.map((ticket) => `rejected ${eventId} ${ticket}`),
    run({ tables, write }) {
      const rows = tables.rejected.get(eventId) ?? new Map<number, string>();
      if (places.some((ticket) => rows.has(ticket))) {
        throw new ServerError("23505", "rejected_records");
      }
      write(() => {
        places.forEach((ticket, index) => rows.set(ticket, list(reasons)[index]!));
        tables.rejected.set(eventId, rows);
      });
      return [];
    },
  };
}

export function moveMark([id, epoch, mark, next, winner]: Values, text: string): Step {
  return {
    locks: [`queue ${String(id)}`],
    run({ tables, write }) {
      const queue = tables.queues.get(String(id));
      if (queue === undefined) return [];
      if (/ epoch = \$2/.test(text) && queue.epoch !== epoch) return [];
      if (/ next_offset = \$3/.test(text) && queue.nextOffset !== mark) return [];
      write(() => {
        queue.nextOffset = Number(next);
        queue.lastWinningTicket = winner === null ? queue.lastWinningTicket : Number(winner);
      });
      return [{ event_id: id }];
    },
  };
}

export function halt([id, reason]: Values): Step {
  return {
    locks: [`queue ${String(id)}`],
    run({ tables, write }) {
      const queue = tables.queues.get(String(id));
      if (queue === undefined || queue.halted !== null) return [];
      write(() => {
        queue.halted = String(reason);
      });
      return [{ event_id: id }];
    },
  };
}
