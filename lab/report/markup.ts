/** A piece of markup that is safe to put into another one. Only `markup` and `trusted` make it. */
export type Markup = { readonly source: string };

export type Part = Markup | string | number | null | readonly Markup[];

/** Markup from a template. Texts in it are escaped, so that no name or reason can become a tag. */
export function markup(texts: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return trusted(String.raw({ raw: texts }, ...parts.map(sourceOf)));
}

/** Text that is markup already: our own style sheet and drawings, never a text of a result. */
export function trusted(source: string): Markup {
  return { source };
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function sourceOf(part: Part): string {
  if (part === null) return "";
  if (typeof part === "string") return part.replace(/[&<>"']/g, (sign) => entities[sign] ?? sign);
  if (typeof part === "number") return String(part);
  return "source" in part ? part.source : part.map(({ source }) => source).join("");
}
