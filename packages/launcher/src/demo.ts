// What compose.yaml's one-shot service runs: node demo.ts URL, with the operator's token
// in ADMIN_TOKEN or in the file that ADMIN_TOKEN_FILE names.
// Ends with 1 when an event could not be made, so that it is started again.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { makeDemoEvents } from "./demo-events.ts";
import { keepLocalDirect } from "./no-proxy.ts";
import { fieldsOf } from "./private-file.ts";

const engineMsMax = 60_000;
const pollMs = 250;
const answerMsMax = 5_000;

const [url] = process.argv.slice(2);
const { ADMIN_TOKEN, ADMIN_TOKEN_FILE } = process.env;
const adminToken = ADMIN_TOKEN_FILE ? readFileSync(ADMIN_TOKEN_FILE, "utf8").trim() : ADMIN_TOKEN;
if (url === undefined || !adminToken) {
  console.error("Usage: ADMIN_TOKEN=... node demo.ts URL (of a running Stampede)");
  process.exit(2);
}

if (process.env["AUTH"] === "jwt") {
  console.log(
    "AUTH=jwt: the server does not accept the operator's token, so no demo events are made.",
  );
  process.exit(0);
}

keepLocalDirect(new URL(url).hostname);
let complaints = 0;
const report = (line: string): void => {
  complaints += 1;
  console.error(line);
};
await untilEnginesAreUp(url);
await makeDemoEvents({ url, adminToken }, report, new AbortController().signal);
process.exitCode = complaints === 0 ? 0 : 1;

/** A service is ready with one engine, and an event whose engine is still coming would be left out. */
async function untilEnginesAreUp(service: string): Promise<void> {
  const endMs = performance.now() + engineMsMax;
  while (performance.now() < endMs) {
    if (await enginesAreUp(service)) return;
    await delay(pollMs);
  }
}

async function enginesAreUp(service: string): Promise<boolean> {
  try {
    const answer = await fetch(`${service}/readyz`, { signal: AbortSignal.timeout(answerMsMax) });
    const engines = Object.values(fieldsOf(fieldsOf(await answer.json())["engines"]));
    return engines.length > 0 && engines.every((state) => state !== "down");
  } catch {
    // Not there, or not in a state to answer: asked again until the deadline.
    return false;
  }
}
