import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { ok, parseUserId, refuse } from "@stampede/domain";
import type { Result, UserId } from "@stampede/domain";
import type { EdgeRefusal } from "./problems.ts";

/** What may say who is calling: never a body, a path or a query. */
export type Caller = Pick<IncomingMessage, "headers" | "rawHeaders">;

/** A promise only where a signature is verified: each of ten thousand claims would pay for one. */
type Told<Value> = Result<Value, EdgeRefusal> | Promise<Result<Value, EdgeRefusal>>;

/** Tells who is calling. */
export type Identity = {
  readonly kind: "dev" | "jwt";
  readonly person: (caller: Caller) => Told<UserId>;
  readonly operator: (caller: Caller) => Told<"operator">;
  /** Whether anybody can be told apart: what is needed for that is there. */
  readonly isReady: () => boolean;
  /** How the OpenAPI document describes it. */
  readonly schemes: Readonly<Record<"person" | "operator", SecurityScheme>>;
};

type SecurityScheme =
  | { readonly type: "apiKey"; readonly in: "header"; readonly name: string }
  | {
      readonly type: "http";
      readonly scheme: "bearer";
      readonly bearerFormat?: string;
      readonly description?: string;
    };

const PERSON_SCHEME = 'X-User-Id realm="stampede"';
const OPERATOR_SCHEME = 'Bearer realm="stampede"';

/**
 * AUTH=dev: a person is whoever the header says. For development and load tests only; whoever can
 * reach the port can claim as anybody.
 */
export function devIdentity(adminToken: string): Identity {
  const expected = digest(adminToken);
  return {
    kind: "dev",
    isReady: () => true,
    schemes: {
      person: { type: "apiKey", in: "header", name: "X-User-Id" },
      operator: { type: "http", scheme: "bearer" },
    },
    person({ headers }) {
      const claimed = headers["x-user-id"];
      if (claimed === undefined) return refuse({ kind: "unauthenticated", scheme: PERSON_SCHEME });
      const userId = parseUserId(String(claimed));
      if (userId !== null) return ok(userId);
      const detail = "X-User-Id must be 1 to 255 visible ASCII characters, without spaces";
      return refuse({ kind: "invalid-request", detail });
    },
    operator({ headers: { authorization, "x-user-id": claimed } }) {
      if (authorization === undefined && parseUserId(String(claimed ?? "")) !== null) {
        return refuse({ kind: "forbidden" });
      }
      const token = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? "")?.[1];
      // Digests have one length, and comparing them tells nothing of where a guess went wrong.
      const right = token !== undefined && timingSafeEqual(digest(token), expected);
      return right ? ok("operator") : refuse({ kind: "unauthenticated", scheme: OPERATOR_SCHEME });
    },
  };
}

/** So many lines of the request have this name. */
export function headerLines({ rawHeaders }: Pick<Caller, "rawHeaders">, name: string): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === name) count += 1;
  }
  return count;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
