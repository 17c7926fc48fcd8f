// Events of one shop that stand beside each other, and claims on them; all of it is judged by the rows.
import { setTimeout as pause } from "node:timers/promises";

import {
  exchange,
  openConnections,
  targetOf,
  type Connection,
  type Target,
} from "../crowd/connection.ts";
import { claimRequest } from "../crowd/crowd.ts";
import { attemptOf, type Asked, type Attempt, type Outcome } from "../crowd/history.ts";
import { createEvent } from "../crowd/operator.ts";
import { statusRequest } from "../crowd/settle.ts";
import type { OpenShop } from "../crowd/shop.ts";
import { countsOf } from "../crowd/statistics.ts";
import { readStoredSales } from "../crowd/stored-sale.ts";
import { judge, type Violation } from "../crowd/verdict.ts";
import { chosenMechanisms, readMechanisms, type Mechanism } from "../mechanisms.ts";

export type OpenEvent = {
  readonly id: string;
  readonly mechanism: string;
  readonly limit: number;
  readonly claimPath: string;
};

/** What people were told, and how often. */
export type Told = Readonly<Record<Outcome, number>>;

const FINAL_MS_MAX = 60_000;
const ASK_EVERY_MS = 20;
/** A thousand who ask as often as one would be a crowd of their own; people are told to wait a second. */
const MANY = 100;
const MANY_ASK_EVERY_MS = 250;

/** A shop with its mechanisms, and every event and attempt that is to be judged. */
export class ManySales {
  readonly mechanisms: readonly Mechanism[];
  readonly shop: OpenShop;
  readonly #target: Target;
  readonly #events: OpenEvent[] = [];
  readonly #attempts: Attempt[] = [];
  #asks = 0;

  static async open(shop: OpenShop): Promise<ManySales> {
    return new ManySales(shop, await readMechanisms(shop.url), await targetOf(shop.url));
  }

  private constructor(shop: OpenShop, mechanisms: readonly Mechanism[], target: Target) {
    this.shop = shop;
    this.mechanisms = mechanisms;
    this.#target = target;
  }

  async make(version: string, id: string, limit: number, pace?: number): Promise<OpenEvent> {
    const [mechanism] = chosenMechanisms(this.mechanisms, [version]);
    if (mechanism === undefined) throw new Error(`This server has no mechanism ${version}.`);
    const event = { id, mechanism: mechanism.name, limit };
    const paced = pace === undefined ? {} : { pace };
    const made = { ...event, claimPath: await createEvent(this.shop, { ...event, ...paced }) };
    this.#events.push(made);
    return made;
  }

  /** So many events, so many at a time. */
  async makeMany(
    version: string,
    made: { readonly count: number; readonly limit: number; readonly atOnce?: number },
  ): Promise<readonly OpenEvent[]> {
    const { count, limit, atOnce = 10 } = made;
    const first = this.#events.length;
    const numbers = Array.from({ length: count }, (_, n) => n).values();
    const events: OpenEvent[] = [];
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (const n of numbers) {
          events.push(await this.make(version, `many-${version}-${first + n}`, limit));
        }
      }),
    );
    return events;
  }

  /** A new person claims on each of these at the same instant; milliseconds until each had a coupon. */
  async claimEach(events: readonly OpenEvent[]): Promise<readonly number[]> {
    const connections = await openConnections(this.#target, events.length);
    const askEveryMs = events.length > MANY ? MANY_ASK_EVERY_MS : ASK_EVERY_MS;
    try {
      const claims = events.map(async (event, n) => {
        const connection = connections[n];
        if (connection === undefined) throw new Error("Every claim has a connection of its own.");
        return this.#claimUntilFinal(event, connection, askEveryMs);
      });
      return (await Promise.all(claims)).toSorted((one, other) => one - other);
    } finally {
      for (const connection of connections) connection.close();
    }
  }

  /** One new person after the other claims on an event until `isOver`, every 10 ms. */
  async claimInTurn(event: OpenEvent, isOver: (claims: number) => boolean): Promise<number[]> {
    const tookMs: number[] = [];
    await this.#byOne(async (connection) => {
      while (!isOver(tookMs.length)) {
        tookMs.push(await this.#claimUntilFinal(event, connection));
        await pause(10);
      }
    });
    return tookMs.toSorted((one, other) => one - other);
  }

  /** So many people claim once each; a connection sends the next claim when the last is answered. */
  async flood(
    event: OpenEvent,
    { people, connections: count }: { readonly people: number; readonly connections: number },
  ): Promise<Told> {
    const connections = await openConnections(this.#target, Math.min(count, people));
    const told = countsOf([]);
    const numbers = Array.from({ length: people }, (_, n) => n).values();
    const claimOn = async (connection: Connection): Promise<void> => {
      for (const n of numbers) {
        const { outcome } = await this.#claim(event, connection, `flood-${this.#target.port}-${n}`);
        told[outcome] += 1;
      }
    };
    try {
      await Promise.all(connections.map(claimOn));
    } finally {
      for (const connection of connections) connection.close();
    }
    return told;
  }

  /** Somebody asks for their status at each of these. */
  async lookAtEach(events: readonly OpenEvent[]): Promise<void> {
    await this.#byOne(async (connection) => {
      for (const event of events) {
        await this.#ask(event, connection, { person: "nobody", ticket: null });
      }
    });
  }

  /** Somebody asks for a status until `isOver`, every 20 ms; milliseconds that each took. */
  async askInTurn(event: OpenEvent, isOver: () => boolean): Promise<readonly number[]> {
    const tookMs: number[] = [];
    await this.#byOne(async (connection) => {
      while (!isOver()) {
        const asked = await this.#ask(event, connection, { person: "nobody", ticket: null });
        tookMs.push(asked.returnedMs - asked.sentMs);
        await pause(ASK_EVERY_MS);
      }
    });
    return tookMs;
  }

  /** What is wrong with any event that `claimEach` and `claimInTurn` claimed on. */
  async judge(): Promise<readonly Violation[]> {
    const violations: Violation[] = [];
    const attempts = Map.groupBy(this.#attempts, ({ eventId }) => eventId);
    const sales = await readStoredSales(this.shop.databaseUrl, [...attempts.keys()]);
    for (const { id, mechanism, limit } of this.#events) {
      const [told, sale] = [attempts.get(id), sales.get(id)];
      if (told === undefined) continue;
      if (sale === undefined) throw new Error(`The database has no event ${id}.`);
      violations.push(...judge({ mechanism, limit, attempts: told, sale }));
    }
    return violations;
  }

  async #byOne(work: (connection: Connection) => Promise<void>): Promise<void> {
    const [connection] = await openConnections(this.#target, 1);
    if (connection === undefined) throw new Error("There is no connection to ask by.");
    try {
      await work(connection);
    } finally {
      connection.close();
    }
  }

  async #claimUntilFinal(
    event: OpenEvent,
    connection: Connection,
    askEveryMs = ASK_EVERY_MS,
  ): Promise<number> {
    const person = `person-${this.#attempts.length}-${event.id}`;
    const claim = await this.#claim(event, connection, person);
    this.#attempts.push(claim);
    let last = claim;
    while (last.outcome === "queued") {
      if (performance.now() - claim.sentMs > FINAL_MS_MAX) {
        throw new Error(`${person} is still in the line of ${event.id} after a minute`);
      }
      await pause(askEveryMs);
      last = await this.#ask(event, connection, claim);
      this.#attempts.push(last);
    }
    if (last.outcome !== "issued" && last.outcome !== "replay") {
      throw new Error(`${person} was told ${last.status} ${last.outcome} by ${event.id}`);
    }
    return last.returnedMs - claim.sentMs;
  }

  async #claim(event: OpenEvent, connection: Connection, person: string): Promise<Attempt> {
    const request = claimRequest(this.#target, event.claimPath, person);
    return this.#attempt(connection, request, { ...this.#asked(event, person), kind: "claim" });
  }

  async #ask(
    event: OpenEvent,
    connection: Connection,
    { person, ticket }: Pick<Attempt, "person" | "ticket">,
  ): Promise<Attempt> {
    const request = statusRequest(this.#target, { eventId: event.id, person, ticket });
    const asked = { ...this.#asked(event, person), kind: "status", ticketAsked: ticket } as const;
    return this.#attempt(connection, request, asked);
  }

  async #attempt(connection: Connection, request: Buffer, asked: Asked): Promise<Attempt> {
    const timer = setTimeout(connection.giveUp, FINAL_MS_MAX);
    const answered = await exchange(connection, request);
    clearTimeout(timer);
    return attemptOf(asked, answered);
  }

  #asked({ id: eventId, mechanism }: OpenEvent, person: string): Omit<Asked, "kind"> {
    const id = (this.#asks += 1);
    const instance = this.#target.authority;
    return { id, person, eventId, mechanism, attempt: 1, instance, ticketAsked: null };
  }
}
