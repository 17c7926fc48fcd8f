/** Who the person is (development mode): shown, and changeable by a small form. */

import { byId } from "./page.js";
import { USER_ID_PATTERN } from "./wire.js";

/** @param {{ save: (userId: string) => void }} options */
export function openPersonForm({ save }) {
  const form = byId("person-form", HTMLFormElement);
  const field = byId("user-id-field", HTMLInputElement);
  const wrong = byId("user-id-wrong", HTMLElement);
  const change = byId("change-person", HTMLElement);
  const cancel = byId("cancel-person", HTMLElement);

  /** @param {{ isOpen: boolean, userId?: string }} state */
  function show({ isOpen, userId = "" }) {
    form.hidden = !isOpen;
    change.setAttribute("aria-expanded", String(isOpen));
    judge(true);
    if (isOpen) {
      field.value = userId;
      field.focus();
      field.select();
    } else change.focus();
  }

  /** @param {boolean} isRight */
  function judge(isRight) {
    wrong.hidden = isRight;
    field.setAttribute("aria-invalid", String(!isRight));
  }

  return {
    /** @param {() => string} currentUserId @returns {void} */
    start(currentUserId) {
      change.addEventListener("click", () => {
        show({ isOpen: form.hidden === true, userId: currentUserId() });
      });
      cancel.addEventListener("click", () => show({ isOpen: false }));
      form.addEventListener("keydown", ({ key }) => {
        if (key === "Escape") show({ isOpen: false });
      });
      field.addEventListener("input", () => {
        // Told before sending, and taken back as soon as it is right; never corrected silently.
        if (!wrong.hidden) judge(USER_ID_PATTERN.test(field.value));
      });
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const isRight = USER_ID_PATTERN.test(field.value);
        judge(isRight);
        if (!isRight) {
          field.focus();
          return;
        }
        save(field.value);
        show({ isOpen: false });
      });
    },
  };
}
