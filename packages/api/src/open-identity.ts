import type { Logger } from "pino";
import type { Closing } from "./closing.ts";
import type { Auth } from "./config.ts";
import { devIdentity } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { jwtIdentity } from "./jwt-identity.ts";
import type { KeySet } from "./jwt-keys.ts";
import { nameOf } from "./jwt-settings.ts";
import type { JwtKeys } from "./jwt-settings.ts";
import { fetchKeys, watchKeys } from "./key-sources.ts";
import type { KeySource } from "./key-sources.ts";
import { refusalTeller } from "./told-refusals.ts";

/** Who is calling, by the way that was configured; JWT_KEYS is read again and again. */
export async function openIdentity(
  auth: Auth,
  log: Logger,
  stack: Pick<Closing, "defer">,
): Promise<Identity> {
  if (auth.kind === "dev") return devIdentity(auth.adminToken);
  const keys = await openKeys(auth.keys, log);
  stack.defer(() => keys.close(), "the reading of JWT_KEYS");
  // The issuer's times are told by its clock, so they are read by ours, not by the database's.
  const onRefused = refusalTeller(
    () => performance.now(),
    (refused, why) => log.warn({ refused }, `tokens are refused: ${why} (docs/sign-in.md)`),
  );
  return jwtIdentity({ rules: auth.rules, keys, nowMs: Date.now, onRefused });
}

async function openKeys(from: JwtKeys, log: Logger): Promise<KeySource> {
  const tellPassedBy = ({ passedBy }: KeySet): void => {
    for (const keys of passedBy) log.warn(`JWT_KEYS: the server passes by ${keys}`);
  };
  let known = from.kind === "file";
  const name = nameOf(from);
  const told = {
    onChange(keySet: KeySet) {
      const count = { keys: keySet.keys.length };
      if (known) log.warn(count, "JWT_KEYS has changed: the server uses its keys from now on");
      else log.info(count, "JWT_KEYS has answered: the server knows the keys of the sign-in");
      known = true;
      tellPassedBy(keySet);
    },
    onFault(faults: readonly string[]) {
      const consequence = known
        ? "the server keeps the last good keys"
        : "nobody can be told apart, every claim is answered 503, and it is asked again every 5 s";
      log.error(`JWT_KEYS: ${name} ${faults.join("; ")}: ${consequence}`);
    },
  };
  if (from.kind === "file") {
    tellPassedBy(from.keySet);
    return watchKeys({ ...from, ...told });
  }
  const keys = fetchKeys({ ...from, ...told, monotonicMs: () => performance.now() });
  // Waited for once, so that the first claims find the keys; an address that is away stops nothing.
  await keys.reread();
  return keys;
}
