// A7: SIGKILL of the service when Kafka's ack is there and no 202 has been read. The record is in the log,
// its person does not know; who claims again is in the log twice, and the first record counts.
//
// Red when a person counts by their last record (kafka-queue/decider/decide-batch.ts), or when the decider starts
// anywhere but at the mark in PostgreSQL (`takeOver` there).
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { REPLY_MAX } from "@stampede/launcher/testing";
import type { FaultCase } from "../case.ts";
import { finish, foundTheirRow } from "../finish.ts";
import { KAFKA_MECHANISMS, only } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { stopTree } from "../support/processes.ts";
import { claimAtOnce, claimUntilAnswered, openSale, people, tally } from "../support/sale.ts";

const KILLS = 3;
const PEOPLE = 100;
/** So many that some are left for the last kill. */
const LIMIT = 250;
const SPREAD_MS = 500;
const DEADLINE_MS = 12_000;
/**
 * An ack and the 202s that follow from it are one turn of the event loop. The first kill comes before
 * it for sure, since the service is stopped when the ack reaches it; the others come around it.
 */
const KILL_AFTER_MS_MAX = 2;
const ARRIVES_MS = 50;

const FOUND = "a person who was never answered found the row of their first record";

export const ackedCase: FaultCase = {
  id: "A7",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  injects: "SIGKILL of the service at the moment at which the ack of a Produce reaches it",
  holds: "who claims again is decided once, by their first record",
  runs: "all",
  expects: [FOUND],
  place: "proxied",
  async run(stage) {
    const { program, kafka } = stage.at;
    const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
    const told: Attempt[] = [];
    let healedMs = 0;
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const persons = people(PEOPLE);
      const trap = kafka.holdReply(stage.pick(1, REPLY_MAX));
      const killAfterMs = stage.pick(0, KILL_AFTER_MS_MAX);
      const killAsAcked = async (): Promise<void> => {
        await trap.sprung;
        if (kill === 1) stopTree(program.pid);
        trap.release();
        await pause(kill === 1 ? ARRIVES_MS : killAfterMs);
        await program.kill();
      };
      const killed = killAsAcked();
      const first = await claimAtOnce(sale, persons, { spreadMs: SPREAD_MS });
      happened(trap.isSprung(), "no ack was held");
      await killed;
      const { unknown = 0 } = tally(first);
      happened(kill > 1 || unknown > 0, `the kill hit nobody: ${JSON.stringify(tally(first))}`);
      if (unknown > 0) stage.injected();
      await program.restart();
      healedMs = performance.now();
      const within = { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS };
      told.push(...first, ...(await claimUntilAnswered(sale, persons, within)));
    }
    const stored = await finish(stage, sale, told, { healedMs });
    if (foundTheirRow(told).length > 0) stage.met(FOUND);
    for (const { userId, ticket } of stored.rows) {
      const tickets = told.flatMap((one) => (one.person === userId ? (one.ticket ?? []) : []));
      const [least] = tickets.toSorted((one, other) => one - other);
      if (least !== undefined && ticket !== null && ticket < least) stage.met(FOUND);
    }
  },
};
