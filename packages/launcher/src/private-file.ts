import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

/** Writes a file that only its owner can read, whole or not at all. */
export function writePrivateFile(path: string, text: string): void {
  const draft = `${path}.${randomBytes(6).toString("hex")}.new`;
  try {
    writeFileSync(draft, text, { mode: 0o600, flag: "wx" });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** A random word of 256 bits that is safe in URLs, command lines and configuration files. */
export function randomSecret(): string {
  return randomBytes(32).toString("hex");
}

/** The secret kept in the file; made at the first call. */
export function keptSecret(path: string): string {
  if (!existsSync(path)) writePrivateFile(path, randomSecret());
  return readFileSync(path, "utf8").trim();
}

/** The file's JSON, or null when there is no such file or it holds something else. */
export function readJsonFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    // Missing, or cut off by a crash in somebody else's hands: the same as never written.
    return null;
  }
}

/** The fields of a JSON object; none of anything else. */
export function fieldsOf(json: unknown): Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null ? Object.fromEntries(Object.entries(json)) : {};
}
