// What `--check` tells of a Redis: the same look that every connection has, line by line.
import type { Finding } from "../finding.ts";
import type { Time } from "../time.ts";
import { makeClient } from "./client.ts";
import type { RedisAddress } from "./client.ts";
import { look, openLine } from "./contact.ts";
import { unusable } from "./reasons.ts";
import { hasRoom, tryRights } from "./rights.ts";

/** Asks once and writes nothing that stays. Where Redis is not reached, why is all that there is to tell. */
export async function checkRedis(
  options: RedisAddress & { readonly time: Time },
): Promise<readonly Finding[]> {
  const { protocol, username, password } = new URL(options.url);
  try {
    const line = await openLine(makeClient(options), options.time);
    try {
      const { findings } = await look(line.ask, { rights: tryRights, hasRoom });
      const name =
        username === "" ? "with a password, no user" : `as ${decodeURIComponent(username)}`;
      const user = password === "" ? "without a password" : name;
      return [
        right("TLS", protocol === "rediss:" ? "verified" : "none"),
        right("sign-in", user),
        ...findings,
      ];
    } finally {
      line.end();
    }
  } catch (error) {
    return [unusable(error)];
  }
}

function right(what: string, found: string): Finding {
  return { engine: "redis", what, found, verdict: "right", advice: "" };
}
