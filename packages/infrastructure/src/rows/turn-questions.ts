// Questions about events that arrive in one turn of the event loop: all of them, whatever they are about,
// share one reading, which begins after the last of them.
import type { EventId, UserId } from "@stampede/domain";
import type { Time } from "../engines/time.ts";

/**
 * The persons whom somebody asked about, by event, each as often as somebody did; an event may be asked
 * about without any. Ten thousand may ask in a turn, and nobody may have to be told them apart.
 */
export type Asked = ReadonlyMap<EventId, readonly UserId[]>;

/** What is wrong with one event is told to whoever asked for that one. */
export type EventAnswer<Reading> = { readonly value: Reading } | { readonly error: unknown };

type Question<Reading> = {
  readonly persons: UserId[];
  readonly reading: PromiseWithResolvers<Reading | null>;
};

/** Readings under way: that of a crowd is not to hold up somebody else's. */
const READINGS_MAX = 2;

export class TurnQuestions<Reading> {
  readonly #time: Time;
  readonly #read: (asked: Asked) => Promise<ReadonlyMap<EventId, EventAnswer<Reading>>>;
  #questions = new Map<EventId, Question<Reading>>();
  #turnEnds = false;
  #readings = 0;

  /** `read` leaves out what is not there. Where it rejects, everybody is told. */
  constructor(
    time: Time,
    read: (asked: Asked) => Promise<ReadonlyMap<EventId, EventAnswer<Reading>>>,
  ) {
    this.#time = time;
    this.#read = read;
  }

  /** One promise for all who ask about an event in one turn. Null: there is no such event. */
  ask(eventId: EventId, userId: UserId | null): Promise<Reading | null> {
    let question = this.#questions.get(eventId);
    if (question === undefined) {
      question = { persons: [], reading: Promise.withResolvers() };
      this.#questions.set(eventId, question);
      if (!this.#turnEnds) {
        this.#turnEnds = true;
        this.#time.endOfTurn(() => {
          this.#turnEnds = false;
          this.#begin();
        });
      }
    }
    if (userId !== null) question.persons.push(userId);
    return question.reading.promise;
  }

  #begin(): void {
    if (this.#questions.size === 0 || this.#readings >= READINGS_MAX) return;
    const questions = this.#questions;
    this.#questions = new Map();
    this.#readings += 1;
    void this.#answer(questions).finally(() => {
      this.#readings -= 1;
      this.#begin();
    });
  }

  async #answer(questions: ReadonlyMap<EventId, Question<Reading>>): Promise<void> {
    const asked = new Map([...questions].map(([eventId, { persons }]) => [eventId, persons]));
    try {
      const answers = await this.#read(asked);
      for (const [eventId, { reading }] of questions) {
        const answer = answers.get(eventId);
        if (answer !== undefined && "error" in answer) reading.reject(answer.error);
        else reading.resolve(answer?.value ?? null);
      }
    } catch (error) {
      for (const { reading } of questions.values()) reading.reject(error);
    }
  }
}
