/**
 * The last minutes, one point a second. Pure: no browser, no clock.
 *
 * A point without a reading is a gap: the server did not answer. A point with a reading and
 * without a change is the first after a gap or after a restart: it tells the state, and no rates.
 */

import { changeBetween } from "./rates.js";

/** @typedef {import("./reading.js").Reading} Reading */
/** @typedef {import("./rates.js").Change} Change */
/** @typedef {{ atMs: number, reading: Reading | null, change: Change | null }} Point */

/** @param {{ spanMs: number, pointsMax: number }} bounds whichever is reached first */
export function openRing({ spanMs, pointsMax }) {
  /** @type {Point[]} */
  const points = [];

  /** @param {Point} point */
  function push(point) {
    points.push(point);
    while (points.length > pointsMax || (points[0]?.atMs ?? point.atMs) < point.atMs - spanMs) {
      points.shift();
    }
  }

  return {
    /** @param {Reading} reading @returns {void} */
    add(reading) {
      const before = points.at(-1)?.reading ?? null;
      const change = before === null ? null : changeBetween(before, reading);
      push({ atMs: reading.atMs, reading, change });
    },
    /** @param {number} atMs @returns {void} */
    addGap(atMs) {
      push({ atMs, reading: null, change: null });
    },
    /** @returns {readonly Point[]} the oldest first; the caller may keep it */
    points: () => [...points],
  };
}
