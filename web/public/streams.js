/**
 * The live streams of the events that matter now.
 *
 * A browser opens at most six HTTP/1.1 connections to one host, all its tabs together, and a
 * stream holds one for good: six of them and no claim gets through any more. So a tab holds three
 * at most, all tabs four (by Web Locks, which tabs share), and a hidden tab none. Who gets no
 * slot polls.
 */

import { isFrame } from "./wire.js";

const STREAMS_PER_TAB_MAX = 3;
const SLOTS_PER_BROWSER = 4;
/** After a refusal (the server is full) or without a free slot. EventSource itself handles the rest. */
const RETRY_AFTER_MS = 10_000;

/** @typedef {import("./wire.js").Frame} Frame */
/** @typedef {{ source: EventSource | null, release: () => void }} Held */

/**
 * @param {{ onFrame: (eventId: string, frame: Frame) => void, onChange: (eventId: string) => void }} listener
 */
export function openStreams({ onFrame, onChange }) {
  /** @type {Map<string, Held>} */
  const held = new Map();
  /** @type {Map<string, number>} */
  const retryAtMs = new Map();

  /** @param {string} eventId */
  function close(eventId) {
    const stream = held.get(eventId);
    held.delete(eventId);
    stream?.source?.close();
    stream?.release();
  }

  /** @param {string} eventId @returns {Promise<void>} */
  async function open(eventId) {
    /** @type {Held} */
    const stream = { source: null, release: () => {} };
    /** @type {Promise<void>} */
    const released = new Promise((resolve) => {
      stream.release = resolve;
    });
    held.set(eventId, stream);
    const slot = await takeSlot(released, held.size);
    // It may have been closed while we waited for the slot.
    if (held.get(eventId) !== stream) return;
    if (!slot) {
      giveUp(eventId);
      return;
    }
    const source = new EventSource(`./events/${eventId}/stream`);
    stream.source = source;
    source.addEventListener("progress", ({ data }) => {
      /** @type {unknown} */
      const frame = JSON.parse(String(data));
      if (isFrame(frame)) onFrame(eventId, frame);
    });
    source.addEventListener("open", () => onChange(eventId));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) giveUp(eventId);
      onChange(eventId);
    });
  }

  /** @param {string} eventId */
  function giveUp(eventId) {
    close(eventId);
    retryAtMs.set(eventId, performance.now() + RETRY_AFTER_MS * (1 + Math.random()));
  }

  return {
    /** Opens and closes streams so that the first few of these events have one. */
    /** @param {readonly string[]} eventIds the most important first @returns {void} */
    want(eventIds) {
      const nowMs = performance.now();
      const chosen = eventIds
        .filter((eventId) => (retryAtMs.get(eventId) ?? 0) <= nowMs)
        .slice(0, STREAMS_PER_TAB_MAX);
      for (const eventId of held.keys()) if (!chosen.includes(eventId)) close(eventId);
      for (const eventId of chosen) if (!held.has(eventId)) void open(eventId);
    },
    /** @param {string} eventId @returns {boolean} */
    isUp(eventId) {
      return held.get(eventId)?.source?.readyState === EventSource.OPEN;
    },
  };
}

/**
 * Takes one of the browser's slots and keeps it until `released` resolves.
 *
 * @param {Promise<void>} released
 * @param {number} heldByThisTab
 * @returns {Promise<boolean>} false when all are taken
 */
async function takeSlot(released, heldByThisTab) {
  // Web Locks need a secure context. Over plain HTTP elsewhere tabs cannot agree: one each.
  if (!("locks" in navigator)) return heldByThisTab <= 1;
  for (let slot = 1; slot <= SLOTS_PER_BROWSER; slot += 1) {
    /** @type {boolean} */
    const taken = await new Promise((resolve) => {
      void navigator.locks.request(`stampede-stream-${slot}`, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock === null ? undefined : released;
      });
    });
    if (taken) return true;
  }
  return false;
}
