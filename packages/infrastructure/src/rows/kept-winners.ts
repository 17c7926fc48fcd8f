// The winners that a directory keeps in memory: of all its events together no more than one budget of
// bytes.
//
// Where there is no room, the winners of the events that were used least recently give way, all of an
// event's at once. Whoever finds no room is answered by person, from the database's index. Three rules
// keep a crowd of large events from reading each other's winners in and out for ever:
// - only a question or a commit makes others give way; the ticks fill the room that is free;
// - nobody gives way to an event that was used less recently;
// - what gives way is bounded per second, and with it what can be read again.
import type { CouponIssue, UserId } from "@stampede/domain";

/** The kept winners of one event. */
export type Shelf = {
  /**
   * The first coupon issues, by person: `seq` 1 to `winners.size`. A reader may hold the map for a
   * while, so it only ever grows; another takes its place when the winners go.
   */
  winners: Map<UserId, CouponIssue>;
  /** What they take. */
  bytes: number;
  /** What one took of those that were added last, or found no room; null: none was seen yet. */
  bytesEach: number | null;
  usedAtMs: number;
};

const MIB = 1024 * 1024;
const BYTES_MAX = 64 * MIB;
/** The object, its code, its place in the map with the room to grow, and the head of the name. */
const BYTES_WITHOUT_NAME = 200;
/** Before anybody was seen. */
const BYTES_EACH = 256;
/** An event of 20,000 every four seconds, which takes some tenths of a second to read. */
const DISPLACED_PER_MS_MAX = 5;

/** See the top of this file. */
export class KeptWinners {
  readonly #bytesMax: number;
  /** Those with any winners, in the order of their last use, or of their first winner. */
  readonly #shelves = new Set<Shelf>();
  #count = 0;
  #bytes = 0;
  #displacesAtMs = 0;

  constructor(bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  count(): number {
    return this.#count;
  }

  bytes(): number {
    return this.#bytes;
  }

  use(shelf: Shelf, nowMs: number): void {
    shelf.usedAtMs = nowMs;
    if (this.#shelves.delete(shelf)) this.#shelves.add(shelf);
  }

  /** Whether so many more fit into the room that is free. */
  fit(shelf: Shelf, more: number): boolean {
    return this.#bytes + more * this.#bytesEach(shelf) <= this.#bytesMax;
  }

  /** Whether so many more fit, if others give way where they have to. */
  canFit(shelf: Shelf, more: number, nowMs: number): boolean {
    return this.#displacedBy(shelf, more * this.#bytesEach(shelf), nowMs) !== null;
  }

  /** Adds those that go on where the shelf ends, all of them or, where they do not fit, none. */
  add(shelf: Shelf, issues: readonly CouponIssue[], nowMs: number): void {
    const { size } = shelf.winners;
    const next: CouponIssue[] = [];
    for (const issue of issues) if (issue.seq === size + next.length + 1) next.push(issue);
    if (next.length === 0) return;
    const bytes = next.reduce((sum, issue) => sum + bytesOf(issue), 0);
    // Known also where they find no room: so they are not read again and again.
    shelf.bytesEach = bytes / next.length;
    const displaced = this.#displacedBy(shelf, bytes, nowMs);
    if (displaced === null) return;
    for (const other of displaced) {
      this.#displacesAtMs = Math.max(this.#displacesAtMs, nowMs);
      this.#displacesAtMs += other.winners.size / DISPLACED_PER_MS_MAX;
      this.drop(other);
    }
    for (const issue of next) shelf.winners.set(issue.userId, issue);
    this.#count += shelf.winners.size - size;
    this.#bytes += bytes;
    shelf.bytes += bytes;
    this.#shelves.add(shelf);
  }

  drop(shelf: Shelf): void {
    if (!this.#shelves.delete(shelf)) return;
    this.#count -= shelf.winners.size;
    this.#bytes -= shelf.bytes;
    shelf.bytes = 0;
    shelf.winners = new Map();
  }

  #bytesEach(shelf: Shelf): number {
    if (shelf.bytesEach !== null) return shelf.bytesEach;
    return this.#count === 0 ? BYTES_EACH : this.#bytes / this.#count;
  }

  /** Those that would give way to so many bytes more; null where too few may. */
  #displacedBy(shelf: Shelf, more: number, nowMs: number): readonly Shelf[] | null {
    let room = this.#bytesMax - this.#bytes;
    const displaced: Shelf[] = [];
    if (room < more && nowMs < this.#displacesAtMs) return null;
    for (const other of this.#shelves) {
      if (room >= more || other.usedAtMs >= shelf.usedAtMs) break;
      room += other.bytes;
      displaced.push(other);
    }
    return room >= more ? displaced : null;
  }
}

/** What V8 takes for it: names are of one byte a character. */
function bytesOf({ userId }: CouponIssue): number {
  return BYTES_WITHOUT_NAME + userId.length;
}
