import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";

/** The one algorithm by which a key verifies: the file's word, never a token's. */
export type VerificationKey = { readonly algorithm: Algorithm; readonly key: KeyObject };

/** A JWK Set as it lies in the file that JWT_KEYS names. */
export type KeySet = {
  readonly text: string;
  /** By `kid`. */
  readonly keys: ReadonlyMap<string, VerificationKey>;
};

export type KeySetReading =
  | { readonly ok: true; readonly keySet: KeySet }
  | { readonly ok: false; readonly faults: readonly string[] };

/** The keys that count now. */
export type KeySource = {
  readonly current: () => ReadonlyMap<string, VerificationKey>;
  /** Reads the file now; never rejects. */
  readonly reread: () => Promise<void>;
  readonly close: () => void;
};

/** Asymmetric ones only: whoever can verify must not be able to sign. */
export const ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

const FILE_CHARACTERS_MAX = 64 * 1024;
const KEYS_MAX = 32;
const RSA_BITS_MIN = 2_048;
/** A removed key is trusted for this long at most. Reading is cheap, and misses no kind of replacing. */
const REREAD_MS = 2_000;

/** Lists every fault together, by the key's place in the file and never with its content. */
export function parseKeySet(text: string): KeySetReading {
  if (text.length > FILE_CHARACTERS_MAX) return broken("is larger than 64 KiB");
  const entries = keyEntriesOf(text);
  if (entries === null) return broken('must be a JSON object with a list "keys" (a JWK Set)');
  const faults: string[] = [];
  const keys = new Map<string, VerificationKey>();
  for (const [place, entry] of entries.entries()) {
    const jwk = recordOf(entry);
    // Providers publish keys for encryption in the same set.
    if (jwk["use"] !== undefined && jwk["use"] !== "sig") continue;
    const { kid } = jwk;
    const made = verificationKey(jwk);
    if (typeof made === "string") faults.push(`key ${place + 1} ${made}`);
    else if (typeof kid !== "string" || kid === "") faults.push(`key ${place + 1} has no kid`);
    else if (keys.has(kid)) faults.push(`key ${place + 1} has the kid of another one`);
    else keys.set(kid, made);
  }
  if (keys.size === 0 && faults.length === 0) return broken("holds no key that verifies");
  if (keys.size > KEYS_MAX) return broken(`holds more than ${KEYS_MAX} keys`);
  return faults.length > 0 ? { ok: false, faults } : { ok: true, keySet: { text, keys } };
}

/**
 * Takes over what the file says whenever it has changed, so that keys rotate without a restart. A
 * file that is away or broken changes nothing: the last good keys stay, and `onFault` is told once.
 */
export function watchKeys(watched: {
  readonly path: string;
  readonly keySet: KeySet;
  readonly onChange: (keys: number) => void;
  readonly onFault: (faults: readonly string[]) => void;
}): KeySource {
  let { keySet } = watched;
  let lastFault = "";
  let rereading: Promise<void> | null = null;
  const readOnce = async (): Promise<void> => {
    const reading = await readKeySet(watched.path);
    const fault = reading.ok ? "" : reading.faults.join("; ");
    if (!reading.ok && fault !== lastFault) watched.onFault(reading.faults);
    lastFault = fault;
    if (!reading.ok || reading.keySet.text === keySet.text) return;
    ({ keySet } = reading);
    watched.onChange(keySet.keys.size);
  };
  // One at a time: a file system that hangs must not collect readings, nor let an old one come last.
  const reread = async (): Promise<void> => {
    rereading ??= readOnce().finally(() => {
      rereading = null;
    });
    return rereading;
  };
  const timer = setInterval(() => void reread(), REREAD_MS);
  timer.unref();
  return { current: () => keySet.keys, reread, close: () => clearInterval(timer) };
}

async function readKeySet(path: string): Promise<KeySetReading> {
  try {
    return parseKeySet(await readFile(path, "utf8"));
  } catch (error) {
    return broken(unreadable(error));
  }
}

/** Why a file could not be read, without the path, which the caller knows. */
export function unreadable(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown reason";
  return `cannot be read (${code})`;
}

/** A fault ends a sentence that begins with the key or the file. */
function verificationKey(jwk: Readonly<Record<string, unknown>>): VerificationKey | string {
  if (jwk["kty"] === "oct") return "is a shared secret: only public keys belong here";
  if (jwk["d"] !== undefined) return "is a PRIVATE key: only public keys belong here";
  const algorithm = algorithmOf(jwk);
  if (algorithm === null) return `is for none of ${ALGORITHMS.join(", ")}`;
  try {
    const key = createPublicKey({ key: { ...jwk }, format: "jwk" });
    const { modulusLength = RSA_BITS_MIN } = key.asymmetricKeyDetails ?? {};
    if (modulusLength < RSA_BITS_MIN) return `has fewer than ${RSA_BITS_MIN} bits`;
    return { algorithm, key };
  } catch {
    // Node's own words may hold the key's members.
    return "is not a whole key";
  }
}

/** What a key says it is for; where it says nothing, what its kind is usually for. */
function algorithmOf({ kty, crv, alg }: Readonly<Record<string, unknown>>): Algorithm | null {
  const possible: readonly Algorithm[] =
    kty === "RSA"
      ? ["RS256", "PS256"]
      : kty === "EC" && crv === "P-256"
        ? ["ES256"]
        : kty === "OKP" && crv === "Ed25519"
          ? ["EdDSA"]
          : [];
  if (alg === undefined) return possible[0] ?? null;
  return possible.find((one) => one === alg) ?? null;
}

function keyEntriesOf(text: string): readonly unknown[] | null {
  try {
    const { keys } = recordOf(JSON.parse(text));
    return Array.isArray(keys) ? keys : null;
  } catch {
    // No JSON; the parser's words would repeat the file.
    return null;
  }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function broken(fault: string): KeySetReading {
  return { ok: false, faults: [fault] };
}
