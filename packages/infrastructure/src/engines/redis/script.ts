import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

/** A Lua script as Redis runs it: sent once, then named by its hash. */
export type Script = { readonly name: string; readonly source: string; readonly sha1: string };

/** Reads a script that is named for its file. */
export function readScript(path: string): Script {
  const source = readFileSync(path, "utf8");
  const sha1 = createHash("sha1").update(source).digest("hex");
  return { name: basename(path, ".lua"), source, sha1 };
}
