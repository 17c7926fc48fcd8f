// PostgreSQL's frontend/backend protocol, version 3, as far as the proxy needs it: every message of
// the server is a letter, its length and its content; "C" ends a command and carries its tag.
// A connection that asks for TLS first is not understood: ours do not.
import { frameSplitter } from "@stampede/launcher/testing";
import type { OpenReader } from "@stampede/launcher/testing";

const COMMAND_COMPLETE = "C".charCodeAt(0);
const HEAD_BYTES = 5;

/**
 * Counts the replies to COMMIT. With "after-write" only those whose transaction has written rows: so
 * a test hits the transaction that issues coupons and not one that keeps some clock or leader.
 */
export function readCommits(which: "all" | "after-write" = "all"): OpenReader {
  return () => {
    const split = frameSplitter((bytes) =>
      bytes.length < HEAD_BYTES ? null : 1 + bytes.readUInt32BE(1),
    );
    let wrote = false;
    const counts = (tag: string): boolean => {
      if (tag === "BEGIN") wrote = false;
      if (/^(?:INSERT 0|UPDATE|DELETE) [1-9]/.test(tag)) wrote = true;
      return tag === "COMMIT" && (which === "all" || wrote);
    };
    return {
      request: () => undefined,
      reply: (chunk) =>
        split(chunk).map((bytes) => ({
          bytes,
          counts: bytes[0] === COMMAND_COMPLETE && counts(tagOf(bytes)),
        })),
    };
  };
}

function tagOf(message: Buffer): string {
  return message.toString("latin1", HEAD_BYTES, message.length - 1);
}
