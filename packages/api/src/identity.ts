import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { ok, parseUserId, refuse } from "@stampede/domain";
import type { Result, UserId } from "@stampede/domain";
import type { EdgeRefusal } from "./problems.ts";

/** Tells who is calling. A user id is never read from a body, a path or a query. */
export type Identity = {
  readonly person: (headers: IncomingHttpHeaders) => Result<UserId, EdgeRefusal>;
  readonly operator: (headers: IncomingHttpHeaders) => Result<"operator", EdgeRefusal>;
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
    person(headers) {
      const claimed = headers["x-user-id"];
      if (claimed === undefined) return refuse({ kind: "unauthenticated", scheme: PERSON_SCHEME });
      const userId = parseUserId(String(claimed));
      if (userId !== null) return ok(userId);
      const detail = "X-User-Id must be 1 to 64 characters out of A-Z a-z 0-9 . _ ~ @ -";
      return refuse({ kind: "invalid-request", detail });
    },
    operator({ authorization, "x-user-id": claimed }) {
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

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
