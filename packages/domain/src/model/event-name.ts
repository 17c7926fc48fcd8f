/**
 * Why a text may not be an event's name. One that was stored before there was such a rule stays as it is
 * until somebody gives the event another one.
 */
export type NameRefusal =
  /** Half of a character that takes two code units. */
  | { readonly kind: "name-broken" }
  | { readonly kind: "name-control" }
  /** What turns the reading direction without turning it back would turn the rest of the page. */
  | { readonly kind: "name-direction" }
  | { readonly kind: "name-blank" };

const CONTROL = /\p{Control}/u;

/**
 * Something that shows by itself: neither space, mark (which needs a letter to stand on), nor what
 * Unicode tells to ignore where it cannot be drawn (zero-width characters, fillers, tags, selectors).
 * The empty braille cell, the null notehead and anchors of annotations count as characters that show,
 * and do not.
 */
const SHOWS =
  /[^\p{White_Space}\p{Mark}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800\ufff9-\ufffb\u{1d159}]/u;

const OPENS: Readonly<Record<string, string>> = {
  "\u202a": "\u202c",
  "\u202b": "\u202c",
  "\u202d": "\u202c",
  "\u202e": "\u202c",
  "\u2066": "\u2069",
  "\u2067": "\u2069",
  "\u2068": "\u2069",
};

/** Null where an event may be called so. */
export function nameRefusal(name: string): NameRefusal | null {
  if (!name.isWellFormed()) return { kind: "name-broken" };
  if (CONTROL.test(name)) return { kind: "name-control" };
  if (!SHOWS.test(name)) return { kind: "name-blank" };
  return isTurnedBack(name) ? null : { kind: "name-direction" };
}

/** Whether every turn of the reading direction ends in the name, the last one first. */
function isTurnedBack(name: string): boolean {
  const open: string[] = [];
  for (const character of name) {
    const end = OPENS[character];
    if (end !== undefined) open.push(end);
    else if (character === "\u202c" || character === "\u2069") {
      if (open.pop() !== character) return false;
    }
  }
  return open.length === 0;
}
