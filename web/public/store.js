/**
 * What the browser remembers, shared by all its tabs: who the person is, the language, the
 * person's place at each event and the attempts that have no answer yet.
 *
 * An attempt is a key of its own, written before the request is sent and removed when a certain
 * answer is there. So two tabs never overwrite each other's, and a crash or a reload in between
 * leaves the key behind: that attempt stayed unanswered.
 */

import { USER_ID_PATTERN } from "./wire.js";
import { isPlace, NO_PLACE, upgradedPlace } from "./place.js";

const PREFIX = "stampede:";
// No 0/o, 1/l/i: a person may have to read their id out.
const GUEST_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz";
const GUEST_LENGTH = 6;

/** @typedef {import("./place.js").Place} Place */
/** @typedef {{ userId: string, eventId: string }} Owner */

/** @returns {string} a readable id that nobody else is likely to have */
function guestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(GUEST_LENGTH));
  const letters = Array.from(bytes, (byte) => GUEST_ALPHABET[byte % GUEST_ALPHABET.length]);
  return `guest-${letters.join("")}`;
}

/** @returns {Storage | null} null where the browser forbids it */
export function storageOrNull() {
  try {
    return localStorage;
  } catch {
    // Cookies are blocked: the page works, and forgets on a reload.
    return null;
  }
}

/** @param {Storage | null} storage null: remember for as long as the page is open */
export function openStore(storage) {
  const keep = openShelf(storage);

  return {
    /** @returns {string} */
    userId() {
      const kept = keep.get(`${PREFIX}person`);
      if (kept !== null && USER_ID_PATTERN.test(kept)) return kept;
      const fresh = guestId();
      keep.set(`${PREFIX}person`, fresh);
      return fresh;
    },
    /** @param {string} userId @returns {void} */
    setUserId(userId) {
      keep.set(`${PREFIX}person`, userId);
    },
    /** @returns {string | null} */
    language() {
      return keep.get(`${PREFIX}language`);
    },
    /** @param {string} language @returns {void} */
    setLanguage(language) {
      keep.set(`${PREFIX}language`, language);
    },

    /** @param {Owner} owner @returns {Place} */
    place(owner) {
      return parsePlace(keep.get(placeKey(owner)));
    },
    /** @param {Owner} owner @param {Place} place @returns {void} */
    setPlace(owner, place) {
      if (place === NO_PLACE) keep.remove(placeKey(owner));
      else keep.set(placeKey(owner), JSON.stringify(place));
    },

    /** @param {Owner} owner @returns {() => void} call it when a certain answer is there */
    attempt(owner) {
      const key = attemptPrefix(owner) + guestId();
      keep.set(key, "sent");
      return () => keep.remove(key);
    },
    /** @param {Owner} owner @returns {boolean} */
    unanswered(owner) {
      return keep.keys().some((key) => isAttemptOf(owner, key));
    },
    /** Forgets the attempts: a final answer covers them all. */
    /** @param {Owner} owner @returns {void} */
    settle(owner) {
      for (const key of keep.keys()) {
        if (isAttemptOf(owner, key)) keep.remove(key);
      }
    },

    /** Calls back when another tab changed anything of ours. */
    /** @param {() => void} changed @returns {void} */
    watch(changed) {
      addEventListener("storage", ({ key }) => {
        if (key === null || key.startsWith(PREFIX)) changed();
      });
    },
  };
}

/** @typedef {ReturnType<typeof openStore>} Store */

// A user id may hold colons; an event id holds none, so the last ones separate.
/** @param {Owner} owner @returns {string} */
function placeKey({ userId, eventId }) {
  return `${PREFIX}place:${userId}:${eventId}`;
}

/** @param {Owner} owner @returns {string} */
function attemptPrefix({ userId, eventId }) {
  return `${PREFIX}sent:${userId}:${eventId}:`;
}

/** @param {Owner} owner @param {string} key */
function isAttemptOf(owner, key) {
  const prefix = attemptPrefix(owner);
  // What follows for "a" at "b" may also be the rest of "a:b" at another event.
  return key.startsWith(prefix) && !key.includes(":", prefix.length);
}

/** @param {string | null} text @returns {Place} */
function parsePlace(text) {
  if (text === null) return NO_PLACE;
  try {
    /** @type {unknown} */
    const kept = JSON.parse(text);
    const place = upgradedPlace(kept);
    return isPlace(place) ? place : NO_PLACE;
  } catch {
    // Somebody edited the storage by hand. The server still knows; claiming again is safe.
    return NO_PLACE;
  }
}

/**
 * The browser's storage, or memory where it is switched off or full: then a reload forgets, and
 * everything else goes on.
 *
 * @param {Storage | null} storage
 */
function openShelf(storage) {
  /** @type {Map<string, string>} */
  const memory = new Map();
  return {
    /** @param {string} key @returns {string | null} */
    get(key) {
      return memory.get(key) ?? storage?.getItem(key) ?? null;
    },
    /** @param {string} key @param {string} value @returns {void} */
    set(key, value) {
      try {
        if (storage === null) memory.set(key, value);
        else storage.setItem(key, value);
      } catch {
        // The storage is full.
        memory.set(key, value);
      }
    },
    /** @param {string} key @returns {void} */
    remove(key) {
      memory.delete(key);
      storage?.removeItem(key);
    },
    /** @returns {string[]} */
    keys() {
      return [...memory.keys(), ...Object.keys(storage ?? {})];
    },
  };
}
