// Somebody else's system, driven by the same crowd. A small JSON file says how it takes a claim and
// what its status codes mean; nothing of it is known but its answers, and those are all it is judged by.
import { readFileSync } from "node:fs";

import type { Exchange, Target } from "../crowd/connection.ts";
import type { Protocol } from "../crowd/crowd.ts";
import type { Asked, Attempt, Outcome } from "../crowd/history.ts";
import type { Violation } from "../crowd/verdict.ts";

/** A request as a template: {person}, {event} and {limit} are filled in. */
type Template = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export type TargetSystem = {
  readonly name: string;
  /** The root of one host that speaks plain HTTP. */
  readonly url: string;
  /** Sent once before each run, so that it finds a fresh sale; null: there is one sale for all. */
  readonly create: Template | null;
  readonly claim: Template;
  /** What its status codes mean. Any other one is a fault, and the run void. */
  readonly meaning: Readonly<Record<"issued" | "sold-out" | "queued", readonly number[]>>;
  /** The field of its JSON answer that holds the coupon's code; null: its codes are not looked at. */
  readonly code: string | null;
};

const createMsMax = 30_000;
const kinds = ["issued", "sold-out", "queued"] as const;
const fields = new Set(["name", "url", "create", "claim", ...kinds, "code"]);

/** Reads a target's file. */
export function readTarget(path: string): TargetSystem {
  let file: unknown;
  try {
    file = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`The target's file ${path} cannot be read: ${said}`, { cause });
  }
  return targetSystem(recordOf(file));
}

/** A target from a file's content. Every fault in it is listed at once. */
export function targetSystem(file: Readonly<Record<string, unknown>>): TargetSystem {
  const faults = Object.keys(file)
    .filter((field) => !fields.has(field))
    .map((field) => `"${field}" is no field of a target.`);
  const { name, url, code = null } = file;
  const parsed = typeof url === "string" && URL.canParse(url) ? new URL(url) : null;
  if (parsed?.protocol !== "http:" || parsed.pathname !== "/") {
    faults.push('"url" is the root of one host that speaks plain HTTP.');
  }
  const claim = template(file["claim"], "POST", faults, "claim");
  if (!JSON.stringify(claim).includes("{person}")) {
    faults.push('"claim" has to say who claims: put {person} into its path, headers or body.');
  }
  const meaning = {
    issued: statuses(file, "issued", faults),
    "sold-out": statuses(file, "sold-out", faults),
    queued: statuses(file, "queued", faults),
  };
  const all = kinds.flatMap((kind) => meaning[kind]);
  if (new Set(all).size < all.length) faults.push("A status code means one thing only.");
  if (meaning.issued.length + meaning.queued.length === 0) {
    faults.push('"issued" or "queued" has to list at least one status code.');
  }
  if (code !== null && typeof code !== "string") faults.push('"code" is the name of a field.');
  if (faults.length > 0) throw new Error(`The target is not described right: ${faults.join(" ")}`);
  return {
    name: typeof name === "string" ? name : (parsed?.host ?? ""),
    url: parsed?.origin ?? "",
    create:
      file["create"] === undefined ? null : template(file["create"], "POST", faults, "create"),
    claim,
    meaning,
    code: typeof code === "string" ? code : null,
  };
}

/** Makes a fresh sale, where the target can do that. */
export async function createSale(
  { url, create }: TargetSystem,
  sale: { readonly event: string; readonly limit: number },
): Promise<void> {
  if (create === null) return;
  const { method, path, headers, body } = create;
  const answer = await fetch(url + filled(path, sale), {
    method,
    headers: Object.entries(headers).map(([name, value]): [string, string] => [
      name,
      filled(value, sale),
    ]),
    ...(body === "" ? {} : { body: filled(body, sale) }),
    signal: AbortSignal.timeout(createMsMax),
  });
  const said = (await answer.text()).slice(0, 500);
  if (!answer.ok) throw new Error(`The target answered "create" with ${answer.status}: ${said}`);
}

/** How the crowd speaks to it. */
export function targetProtocol(
  system: TargetSystem,
  target: Target,
  sale: { readonly event: string; readonly limit: number },
): Protocol {
  const { method, path, headers, body } = system.claim;
  return {
    request: (person) => {
      const values = { ...sale, person };
      const content = filled(body, values);
      const lines = Object.entries(headers).map(
        ([name, value]) => `${name}: ${filled(value, values)}`,
      );
      const head = [
        `${method} ${filled(path, values)} HTTP/1.1`,
        `Host: ${target.authority}`,
        ...lines,
        `Content-Length: ${Buffer.byteLength(content)}`,
      ];
      return Buffer.from(`${head.join("\r\n")}\r\n\r\n${content}`);
    },
    read: (asked, exchange) => targetAttempt(system, asked, exchange),
  };
}

/**
 * What can be judged from outside: no more issued than there is, no code twice, one coupon for each
 * person, and not sold out while people who could have had the rest were told so.
 */
export function judgeTarget(claims: readonly Attempt[], limit: number): Violation[] {
  const violations: Violation[] = [];
  const issued = claims.filter(({ outcome }) => outcome === "issued");
  const owners = new Map<string, string>();
  const codes = new Map<string, string>();
  for (const { person, code } of issued) {
    if (code === null) continue;
    const owner = owners.get(code);
    if (owner !== undefined && owner !== person) {
      violations.push({ rule: "code-twice", person, detail: `${owner} has the same code` });
    }
    owners.set(code, person);
    const own = codes.get(person);
    if (own !== undefined && own !== code) {
      violations.push({ rule: "two-coupons", person, detail: "was given two different codes" });
    }
    codes.set(person, code);
  }
  const winners = new Set(issued.map(({ person }) => person)).size;
  if (winners > limit) {
    const detail = `${winners} people were told issued, there are ${limit} coupons`;
    violations.push({ rule: "over-issue", person: null, detail });
  }
  const soldOut = claims.some(({ outcome }) => outcome === "sold-out");
  // A queue decides later and an unanswered claim may have got one, so nothing is known of those.
  const open = claims.some(({ outcome }) => outcome === "queued" || outcome === "unknown");
  if (soldOut && !open && winners < limit) {
    const detail = `people were told sold out when ${winners} of ${limit} had been issued`;
    violations.push({ rule: "sold-out-too-early", person: null, detail });
  }
  return violations;
}

function targetAttempt(system: TargetSystem, asked: Asked, exchange: Exchange): Attempt {
  const { sentMs, returnedMs, answer } = exchange;
  const kind = kinds.find((name) => system.meaning[name].includes(answer?.status ?? 0));
  // An error of theirs may have been applied all the same. A refusal that nobody described is a
  // fault of the description or of the sale: the run is void, and its status shows why.
  const refused = answer !== null && answer.status < 500;
  const outcome: Outcome = kind ?? (refused ? "refused" : "unknown");
  return {
    ...asked,
    sentMs,
    returnedMs,
    status: answer?.status ?? null,
    fault: exchange.fault,
    problemType: null,
    outcome,
    seq: null,
    code: outcome === "issued" && answer !== null ? codeIn(answer.body, system.code) : null,
    issuedAt: null,
    ticket: null,
    ahead: null,
    guaranteed: null,
  };
}

function codeIn(body: string, field: string | null): string | null {
  if (field === null) return null;
  try {
    const value = recordOf(JSON.parse(body))[field];
    return typeof value === "string" || typeof value === "number" ? String(value) : null;
  } catch {
    // Not JSON: there is no code to compare.
    return null;
  }
}

function filled(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(person|event|limit)\}/g, (whole, name: string) =>
    String(values[name] ?? whole),
  );
}

function template(value: unknown, byDefault: string, faults: string[], name: string): Template {
  const { method = byDefault, path, headers = {}, body = "" } = recordOf(value);
  const named = Object.entries(recordOf(headers));
  const right =
    typeof method === "string" &&
    typeof path === "string" &&
    path.startsWith("/") &&
    named.every(([, text]) => typeof text === "string");
  if (!right) {
    faults.push(
      `"${name}" has a "path" that starts with a slash, and may have "method", "headers" and "body".`,
    );
  }
  return {
    method: String(method),
    path: String(path),
    headers: Object.fromEntries(named.map(([key, text]) => [key, String(text)])),
    body: typeof body === "string" ? body : JSON.stringify(body),
  };
}

function statuses(
  file: Readonly<Record<string, unknown>>,
  kind: string,
  faults: string[],
): readonly number[] {
  const value = file[kind] ?? [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const codes = list.filter((code): code is number => Number.isInteger(code));
  if (codes.length === list.length) return codes;
  faults.push(`"${kind}" is a list of status codes.`);
  return [];
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
