/** Who the person is: shown, and changeable by a small form that takes a user id or a token. */

import { byId } from "./page.js";

/**
 * @param {{ isRight: (text: string) => boolean, save: (text: string) => void }} options
 */
export function openPersonForm({ isRight, save }) {
  const form = byId("person-form", HTMLFormElement);
  const field = byId("user-id-field", HTMLInputElement);
  const wrong = byId("user-id-wrong", HTMLElement);
  const change = byId("change-person", HTMLElement);
  const cancel = byId("cancel-person", HTMLElement);

  /** @param {{ isOpen: boolean, text?: string }} state */
  function show({ isOpen, text = "" }) {
    form.hidden = !isOpen;
    change.setAttribute("aria-expanded", String(isOpen));
    judge(true);
    if (isOpen) {
      field.value = text;
      field.focus();
      field.select();
    } else {
      // A token is not left lying in a field.
      field.value = "";
      change.focus();
    }
  }

  /** @param {boolean} right */
  function judge(right) {
    wrong.hidden = right;
    field.setAttribute("aria-invalid", String(!right));
  }

  return {
    /** @param {() => string} currentText @returns {void} */
    start(currentText) {
      change.addEventListener("click", () => {
        show({ isOpen: form.hidden === true, text: currentText() });
      });
      cancel.addEventListener("click", () => show({ isOpen: false }));
      form.addEventListener("keydown", ({ key }) => {
        if (key === "Escape") show({ isOpen: false });
      });
      field.addEventListener("input", () => {
        // Told before sending, and taken back as soon as it is right; never corrected silently.
        if (!wrong.hidden) judge(isRight(field.value));
      });
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const right = isRight(field.value);
        judge(right);
        if (!right) {
          field.focus();
          return;
        }
        save(field.value);
        show({ isOpen: false });
      });
    },
  };
}
