import type { Logger } from "pino";
import type { Auth } from "./config.ts";
import { devIdentity } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { jwtIdentity } from "./jwt-identity.ts";
import { watchKeys } from "./jwt-keys.ts";

/** Who is calling, by the way that was configured; JWT_KEYS is read again whenever it changes. */
export function openIdentity(auth: Auth, log: Logger, stack: AsyncDisposableStack): Identity {
  if (auth.kind === "dev") return devIdentity(auth.adminToken);
  const { issuer, audience, keysPath, keySet } = auth;
  const keys = watchKeys({
    path: keysPath,
    keySet,
    onChange: (count) =>
      log.warn({ keys: count }, "JWT_KEYS has changed: the server uses its keys from now on"),
    onFault: (faults) =>
      log.error({ faults }, "JWT_KEYS has a fault: the server keeps the last good keys"),
  });
  stack.defer(() => keys.close());
  // The issuer's times are told by its clock, so they are read by ours, not by the database's.
  return jwtIdentity({ issuer, audience, keys: keys.current, nowMs: Date.now });
}
