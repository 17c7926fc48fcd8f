// The load side: persons who claim, repeat, lose patience, claim twice at once, ask what became of
// it, and come back after the end. They know only what they are told, and all of it is written down.
import { EngineFault } from "@stampede/domain";
import type { ClaimAnswer, ClaimStatus, CouponIssuer, EventId, UserId } from "@stampede/domain";
import type { Attempt } from "@stampede/referee";
import type { Random } from "./random.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";

/** A process that answers requests, while it lives. */
export type Server = { readonly process: Process; readonly issuer: CouponIssuer };

export type PeopleOptions = {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly trace: Trace;
  readonly eventId: EventId;
  readonly healsAtMs: () => number;
  /** Those that can be reached now. */
  readonly servers: () => readonly Server[];
  /** A failure that no rule foresees: it is a finding. */
  readonly onBug: (error: unknown) => void;
};

/** A person gives up waiting for one answer after this long. */
const ANSWER_MS_MAX = 20_000;

export class People {
  readonly #options: PeopleOptions;
  readonly history: Attempt[] = [];
  readonly #tickets = new Map<string, number>();
  #open = 0;
  #lanes = 0;
  #undecided = 0;
  /** From then on everybody goes on until they have a final answer. */
  patient = false;
  /** From then on nobody goes on: what they claim from stays broken. */
  hopeless = false;

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  /** A person comes after `ms`. */
  arrive(person: string, ms: number): void {
    this.#lanes += 1;
    this.#undecided += 1;
    this.#options.scheduler.after(
      ms,
      this.#options.scheduler.outside,
      () => void this.#live(person),
    );
  }

  /** Everybody who came has a final answer, and no request is open. */
  isQuiet(): boolean {
    return this.#open === 0 && this.#lanes === 0;
  }

  inFlight(): number {
    return this.#open;
  }

  /** Persons who came and have no final answer yet. */
  unsettled(): number {
    return this.#undecided;
  }

  async #live(person: string): Promise<void> {
    const { random } = this.#options;
    const extra = random.chance(0.15) ? random.whole(1, 2) : 0;
    if (random.chance(0.1)) void this.#request("claim", person);
    let outcome: Attempt["outcome"] | null = null;
    for (;;) {
      // Whoever has a ticket most often asks for it, and now and then claims once more.
      const asks = outcome !== null && random.chance(outcome === "queued" ? 0.85 : 0.35);
      outcome = await this.#request(asks ? "status" : "claim", person);
      if (outcome === "issued" || outcome === "replay" || outcome === "sold-out") break;
      if (this.hopeless) break;
      // Whoever loses patience comes back when the sale is over.
      const impatient = !this.patient && random.chance(0.25);
      await this.#pause(impatient ? this.#longPauseMs() : random.between(20, 400));
    }
    this.#undecided -= 1;
    for (let again = 0; again < extra; again += 1) {
      await this.#pause(random.between(0, 1_500));
      await this.#request(random.pick(["claim", "status"]), person);
    }
    this.#lanes -= 1;
  }

  /** It ends soon after the faults have, so that nobody is late for the end by their own fault. */
  #longPauseMs(): number {
    const { scheduler, random, healsAtMs } = this.#options;
    const leftMs = Math.max(0, healsAtMs() - scheduler.nowMs);
    return Math.min(random.between(2_000, 9_000), leftMs + random.between(0, 1_500));
  }

  async #pause(ms: number): Promise<void> {
    const { scheduler } = this.#options;
    await new Promise<void>((resolve) => void scheduler.after(ms, scheduler.outside, resolve));
  }

  async #request(kind: Attempt["kind"], person: string): Promise<Attempt["outcome"]> {
    const { scheduler, random, trace, servers } = this.#options;
    const sentMs = scheduler.nowMs;
    const ticketAsked = kind === "status" ? (this.#tickets.get(person) ?? null) : null;
    const reachable = servers();
    this.#open += 1;
    const told =
      reachable.length === 0
        ? REFUSED
        : await this.#send(random.pick(reachable), { kind, person, ticketAsked });
    this.#open -= 1;
    const id = this.history.length;
    const asked = { id, kind, person, ticketAsked, sentMs };
    const { eventId } = this.#options;
    this.history.push({ ...asked, ...told, eventId, returnedMs: scheduler.nowMs });
    if (kind === "claim" && told.ticket !== null && !this.#tickets.has(person)) {
      this.#tickets.set(person, told.ticket);
    }
    trace.note(
      scheduler.nowMs,
      `${eventId} ${kind} ${person} ${told.outcome} ${told.seq ?? ""} ${told.ticket ?? ""} ${told.ahead ?? ""} from ${sentMs}`,
    );
    return told.outcome;
  }

  async #send(
    { process, issuer }: Server,
    asked: { kind: Attempt["kind"]; person: string; ticketAsked: number | null },
  ): Promise<Told> {
    const { scheduler, random, trace, eventId, onBug } = this.#options;
    return new Promise((resolve) => {
      let answered = false;
      const answer = (told: Told, ms: number): void => {
        scheduler.after(ms, scheduler.outside, () => {
          if (answered) return;
          answered = true;
          giveUp.run = null;
          process.mourners.delete(reset);
          resolve(told);
        });
      };
      const reset = (): void => answer(UNKNOWN, random.between(0.1, 2));
      const giveUp = scheduler.after(ANSWER_MS_MAX, scheduler.outside, () => answer(UNKNOWN, 0));
      process.mourners.add(reset);
      const userId = asked.person as UserId;
      scheduler.after(random.between(0.05, 1), process, () => {
        const asking =
          asked.kind === "claim"
            ? issuer.claim(eventId, userId).then(toldOfClaim)
            : issuer.status(eventId, userId, asked.ticketAsked).then(toldOfStatus);
        asking
          .catch((error: unknown) =>
            toldOfFault(error, (bug) => onBug(bug), trace, scheduler.nowMs),
          )
          .then((told) => answer(told, random.between(0.05, 1)))
          .catch(onBug);
      });
    });
  }
}

type Told = Pick<
  Attempt,
  "status" | "outcome" | "seq" | "code" | "issuedAt" | "ticket" | "ahead" | "guaranteed"
>;

const NOTHING = {
  seq: null,
  code: null,
  issuedAt: null,
  ticket: null,
  ahead: null,
  guaranteed: null,
};
const UNKNOWN: Told = { ...NOTHING, status: null, outcome: "unknown" };
const REFUSED: Told = { ...NOTHING, status: null, outcome: "refused" };

function toldOfClaim(answer: ClaimAnswer): Told {
  if (answer.kind === "refused") {
    const outcome = answer.refusal.kind === "sold-out" ? "sold-out" : "refused";
    return { ...NOTHING, status: 409, outcome };
  }
  if (answer.kind === "queued") return { ...NOTHING, ...ticketOf(answer.ticket), status: 202 };
  const { seq, code, issuedAtMs } = answer.couponIssue;
  const issuedAt = new Date(issuedAtMs).toISOString();
  const fresh = answer.kind === "issued";
  const outcome = fresh ? "issued" : "replay";
  return { ...NOTHING, status: fresh ? 201 : 200, outcome, seq, code, issuedAt };
}

function toldOfStatus(status: ClaimStatus): Told {
  if (status.kind === "issued") {
    return toldOfClaim({ kind: "replayed", couponIssue: status.couponIssue });
  }
  if (status.kind === "queued") return { ...NOTHING, ...ticketOf(status.ticket), status: 200 };
  if (status.kind === "pending" || status.kind === "stalled") {
    return { ...NOTHING, status: 200, outcome: "unknown" };
  }
  return { ...NOTHING, status: 200, outcome: status.kind };
}

function ticketOf(ticket: {
  readonly ticket: number;
  readonly ahead: number;
  readonly guaranteed: boolean;
}): Pick<Told, "outcome" | "ticket" | "ahead" | "guaranteed"> {
  const { ahead, guaranteed } = ticket;
  return { outcome: "queued", ticket: ticket.ticket, ahead, guaranteed };
}

function toldOfFault(
  error: unknown,
  onBug: (error: unknown) => void,
  trace: Trace,
  nowMs: number,
): Told {
  if (error instanceof EngineFault) {
    trace.note(nowMs, `${error.outcome}: ${error.message}`);
    const outcome = error.outcome === "unknown" ? "unknown" : "refused";
    return { ...NOTHING, status: 503, outcome };
  }
  onBug(error);
  return { ...UNKNOWN, status: 500 };
}
