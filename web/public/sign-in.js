/**
 * Who the person is where the service wants signed tokens (AUTH=jwt). The shop hands the token out; this
 * page only carries it: it is kept for this tab alone, forgotten when the tab is closed, and sent to
 * nobody but the service. What the page reads of it is the name to show; whether it is true is for the
 * service to say.
 */

import { record, USER_ID_PATTERN } from "./wire.js";

export const TOKEN_CHARACTERS_MAX = 8_192;
const KEY = "stampede:token";

/** Whether the service that served this page wants tokens. */
/** @returns {boolean} */
export function wantsTokens() {
  return document.documentElement.dataset["auth"] === "jwt";
}

/** @returns {Storage | null} null where the browser forbids it */
export function tabStorageOrNull() {
  try {
    return sessionStorage;
  } catch {
    // Cookies are blocked: a reload forgets the token, and nothing else changes.
    return null;
  }
}

/** The user id in a token; null where it has none that the service would take. */
/** @param {string} token @returns {string | null} */
export function userIdOf(token) {
  if (token.length > TOKEN_CHARACTERS_MAX || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return null;
  try {
    const body = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
    const { sub } = record(JSON.parse(new TextDecoder().decode(bytes)));
    return typeof sub === "string" && USER_ID_PATTERN.test(sub) ? sub : null;
  } catch {
    // No base64, or no JSON in it: no token.
    return null;
  }
}

/** @param {Storage | null} storage null: remember for as long as the page is open */
export function openSignIn(storage) {
  let token = storage?.getItem(KEY) ?? null;

  return {
    /** Empty where nobody is signed in. */
    /** @returns {string} */
    userId() {
      return (token === null ? null : userIdOf(token)) ?? "";
    },
    /** @param {string} given @returns {void} */
    save(given) {
      token = given;
      try {
        storage?.setItem(KEY, given);
      } catch {
        // The storage is full: a reload forgets it.
      }
    },
    /**
     * Only under the name that it says: a question that was meant for the person before must not be
     * answered to the one after.
     *
     * @param {string} userId
     * @returns {Record<string, string>}
     */
    credentials(userId) {
      if (token === null || userIdOf(token) !== userId) return {};
      return { Authorization: `Bearer ${token}` };
    },
  };
}

/** @typedef {ReturnType<typeof openSignIn>} SignIn */
