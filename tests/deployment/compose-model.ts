// Reads compose files as compose does: merge keys, `extends`, `!reset`, and a second file laid over the
// first. Only what our files use; the schema and the rules judge the rest. The result was compared with
// what the reference loader (compose-go) makes of the same files.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDocument, visit } from "yaml";

export const root = join(import.meta.dirname, "..", "..");

export type Fields = Readonly<Record<string, unknown>>;

/** A deployment as compose would start it, its variables not yet filled in. */
export type Deployment = {
  readonly services: Readonly<Record<string, Fields>>;
  /** The names of declared volumes. */
  readonly volumes: readonly string[];
};

/** What stands for a value that a second file takes away. */
const reset = "!reset";

/** Lists that a second file replaces; all others grow. */
const replacedLists = new Set(["command", "entrypoint", "test"]);

/** The file as it stands, for the schema. */
export function parseCompose(text: string): unknown {
  return parseDocument(text, { merge: true, logLevel: "error" }).toJS();
}

/** `files` are laid over each other in order; `read` gives the text of one that is extended. */
export function composeOf(
  files: readonly string[],
  read: (name: string) => string = readFile,
): Deployment {
  const services = new Map<string, Fields>();
  const volumes = new Set<string>();
  for (const file of files) {
    const document = fieldsOf(withResets(read(file)));
    for (const [name, service] of Object.entries(fieldsOf(document["services"]))) {
      const own = extended(fieldsOf(service), read);
      services.set(name, merged(services.get(name) ?? {}, own));
    }
    for (const name of Object.keys(fieldsOf(document["volumes"]))) volumes.add(name);
  }
  return { services: Object.fromEntries(services), volumes: [...volumes] };
}

export function readFile(name: string): string {
  return readFileSync(join(root, name), "utf8");
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {};
}

export function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** All strings in it, however deep. */
export function stringsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(stringsIn);
}

export type Mount = {
  readonly source: string;
  readonly target: string;
  readonly mode: "ro" | "rw";
};

/** Volumes and bind mounts of a service. */
export function mountsOf(service: Fields): readonly Mount[] {
  return listOf(service["volumes"]).map((text) => {
    const [source = "", target = "", mode] = text.split(":");
    return { source, target, mode: mode === "ro" ? "ro" : "rw" };
  });
}

/** The port that a service's health check asks: the one that it listens on. */
export function healthPort(service: Fields): string | null {
  const test = stringsIn(fieldsOf(service["healthcheck"])["test"]).join(" ");
  return /127\.0\.0\.1:(?<port>\d+)/.exec(test)?.groups?.["port"] ?? null;
}

/** `${NAME}` in a text: required (`:?`), or with what stands in for it (`:-`). */
export function variablesIn(
  text: string,
): readonly { readonly name: string; readonly fallback: string | null }[] {
  const form = /(?<!\$)\$\{(?<name>[A-Z_]+)(?::(?<kind>[-?])(?<rest>[^}]*))?\}/g;
  return Array.from(text.matchAll(form), ({ groups }) => ({
    name: groups?.["name"] ?? "",
    fallback: groups?.["kind"] === "?" ? null : (groups?.["rest"] ?? ""),
  }));
}

/** The text as compose hands it on: variables filled in, `$$` one dollar sign. */
export function interpolated(text: string, values: Readonly<Record<string, string>>): string {
  return text
    .replace(/(?<!\$)\$\{(?<name>[A-Z_]+)(?::[-?](?<rest>[^}]*))?\}/g, (_all, name, rest) =>
      String(values[name] ?? rest ?? ""),
    )
    .replaceAll("$$", "$");
}

function withResets(text: string): unknown {
  const document = parseDocument(text, { merge: true, logLevel: "error" });
  visit(document, {
    Collection: (_key, node) => (node.tag === reset ? document.createNode(reset) : undefined),
  });
  return document.toJS();
}

function extended(service: Fields, read: (name: string) => string): Fields {
  const { extends: from, ...own } = service;
  if (from === undefined) return own;
  const { file, service: name } = fieldsOf(from);
  const base = fieldsOf(fieldsOf(withResets(read(String(file))))["services"])[String(name)];
  return merged(extended(fieldsOf(base), read), own);
}

function merged(base: Fields, over: Fields): Fields {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = result[key];
    if (value === reset) delete result[key];
    else if (key === "volumes") result[key] = byTarget([...listOf(before), ...listOf(value)]);
    else if (Array.isArray(value) && Array.isArray(before) && !replacedLists.has(key)) {
      result[key] = [...new Set([...before, ...value])];
    } else if (Object.keys(fieldsOf(value)).length > 0 && before !== undefined) {
      result[key] = merged(fieldsOf(before), fieldsOf(value));
    } else result[key] = value;
  }
  return result;
}

/** A mount on the same place replaces the earlier one. */
function byTarget(mounts: readonly string[]): readonly string[] {
  return [...new Map(mounts.map((mount) => [mount.split(":")[1], mount])).values()];
}
