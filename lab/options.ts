// What all commands of the lab read from their command line alike.
import { parseArgs } from "node:util";

export type Values = Readonly<Record<string, unknown>>;

export type OptionForms = Readonly<
  Record<string, { readonly type: "string" } | { readonly type: "boolean"; readonly short: "h" }>
>;

export const text = { type: "string" } as const;
export const help = { type: "boolean", short: "h" } as const;

/** The values and the words beside them; a fault of the line itself is told by `faults`. */
export function parsed(
  args: readonly string[],
  options: OptionForms,
  faults: string[],
): { readonly values: Values; readonly positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options: { ...options }, allowPositionals: true });
  } catch (error) {
    // An unknown option or a missing value: parseArgs says which.
    faults.push(error instanceof Error ? error.message : String(error));
    return { values: {}, positionals: [] };
  }
}

/** Reads an option's number; null where it is left out or a fault. */
export function integerOf(
  name: string,
  value: unknown,
  { least, most, faults }: { least: number; most: number; faults: string[] },
): number | null {
  if (typeof value !== "string") return null;
  const count = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (count >= least && count <= most) return count;
  faults.push(`--${name} is an integer from ${least} to ${most}, not "${value}".`);
  return null;
}

/** Reads an option's text; null where it is left out or a fault. */
export function wordOf(name: string, values: Values, faults: string[]): string | null {
  const value = values[name];
  if (value === "") faults.push(`--${name} needs a value.`);
  return typeof value === "string" && value !== "" ? value : null;
}

/** Reads a list of names such as "v1,row-lock": a server tells later which of them it has. */
export function namesOf(name: string, values: Values, faults: string[]): readonly string[] | null {
  const list = wordOf(name, values, faults)?.split(",") ?? null;
  const strange = list?.filter((one) => !/^[a-z][a-z0-9-]*$/.test(one)) ?? [];
  for (const one of strange) faults.push(`--${name} takes names with commas, not "${one}".`);
  return list;
}

/** A server's root as `--url` names it; null where it is left out or a fault. */
export function serverUrl(values: Values, faults: string[]): string | null {
  const value = wordOf("url", values, faults);
  if (value === null) return null;
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url?.protocol === "http:" && url.pathname === "/" && url.search === "") return url.origin;
  faults.push(`--url is the root of a server that speaks plain HTTP, not "${value}".`);
  return null;
}
