// Secrets in files of their own, as container engines and orchestrators hand them over: they then stand
// in no environment, which `docker inspect` and crash reports show.
import { readFileSync } from "node:fs";
import { unreadable } from "./key-sources.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A secret, and the setting that names the file with it. */
const wholeFiles: ReadonlyMap<string, string> = new Map([
  ["ADMIN_TOKEN", "ADMIN_TOKEN_FILE"],
  ["KAFKA_PASSWORD", "KAFKA_PASSWORD_FILE"],
]);

/** A URL, and the setting that names the file with the password that belongs into it. */
const passwordFiles: ReadonlyMap<string, string> = new Map([
  ["DATABASE_URL", "DATABASE_PASSWORD_FILE"],
  ["REDIS_URL", "REDIS_PASSWORD_FILE"],
]);

/** Reads a setting by its name, with its secret out of a file where one is named. Null: unset or empty. */
export function settingsOf(
  environment: Environment,
  faults: string[],
): (name: string) => string | null {
  const given = (name: string): string | null => environment[name]?.trim() || null;
  const secretOf = (fileName: string, path: string): string | null => {
    try {
      const secret = readFileSync(path, "utf8").trim();
      if (secret !== "") return secret;
      faults.push(`${fileName}: ${path} is empty`);
    } catch (error) {
      faults.push(`${fileName}: ${path} ${unreadable(error)}`);
    }
    return null;
  };
  const wholeSecret = (name: string, fileName: string): string | null => {
    const path = given(fileName);
    const value = given(name);
    if (path === null) return value;
    if (value === null) return secretOf(fileName, path);
    faults.push(`${name} and ${fileName} are both set: leave one of them out`);
    return value;
  };
  const withPassword = (name: string, fileName: string): string | null => {
    const path = given(fileName);
    const url = given(name);
    if (path === null) return url;
    if (url === null) {
      faults.push(`${fileName} is set and ${name} is not: its password would be used for nothing`);
      return null;
    }
    // What is no URL is told as such by whoever reads it.
    if (!URL.canParse(url)) return url;
    const parsed = new URL(url);
    if (parsed.password !== "") {
      faults.push(`${name} holds a password and ${fileName} is set: leave one of them out`);
      return url;
    }
    // Encoded here: the setter of URL leaves a "%" as it is.
    parsed.password = encodeURIComponent(secretOf(fileName, path) ?? "");
    return parsed.href;
  };
  return (name) => {
    const wholeFile = wholeFiles.get(name);
    if (wholeFile !== undefined) return wholeSecret(name, wholeFile);
    const passwordFile = passwordFiles.get(name);
    return passwordFile === undefined ? given(name) : withPassword(name, passwordFile);
  };
}
