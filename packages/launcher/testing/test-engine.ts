import type { EngineName } from "../src/engine.ts";
import { engineTitles } from "../src/engine.ts";

/** Where `npm test` leaves the addresses of its engines. */
export const testEngineVariables = {
  postgres: "STAMPEDE_TEST_POSTGRES",
  redis: "STAMPEDE_TEST_REDIS",
  kafka: "STAMPEDE_TEST_KAFKA",
} as const satisfies Record<EngineName, string>;

/** The engine's address, for tests that `missing` does not skip. */
export function testEngine(name: EngineName): string {
  const url = process.env[testEngineVariables[name]];
  if (url === undefined || url === "") throw new Error(notThere(name));
  return url;
}

/**
 * For `test(title, { skip: missing("kafka") }, ...)`: false when all the engines are there, else
 * the reason. With STAMPEDE_NO_SKIPS=1, as in CI, it throws: a proof that did not run is no proof.
 */
export function missing(...names: readonly EngineName[]): string | false {
  const absent = names.find((name) => !process.env[testEngineVariables[name]]);
  if (absent === undefined) return false;
  if (process.env["STAMPEDE_NO_SKIPS"] === "1") throw new Error(notThere(absent));
  return notThere(absent);
}

function notThere(name: EngineName): string {
  return (
    `${engineTitles[name]} does not run: start this file by npm test, which starts it ` +
    `(npm test -- FILE), or set ${testEngineVariables[name]} to its address`
  );
}
