/** The few things that every part of the page does with the document. */

/**
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function byId(id, kind) {
  const node = document.getElementById(id);
  if (node instanceof kind) return node;
  throw new Error(`The page has no ${kind.name} #${id}: index.html and the scripts differ`);
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, className) {
  const node = document.createElement(tag);
  node.className = className;
  return node;
}

/** Touches the document only where the text differs: a selection in it survives. */
/** @param {HTMLElement} node @param {string} text @returns {void} */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
