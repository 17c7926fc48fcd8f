// The keys that verify tokens, out of a JWK Set. Providers publish keys of all kinds in one set, so what
// is not understood is passed by and told (RFC 7517, section 5): it verifies nothing.
import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";

/** The set's word on what a key is for, never a token's. */
export type VerificationKey = {
  /** Null only where it is the set's only key. */
  readonly kid: string | null;
  /** What its `alg` names; where it names none, all that its kind can. */
  readonly algorithms: readonly Algorithm[];
  readonly key: KeyObject;
};

export type KeySet = {
  readonly text: string;
  readonly keys: readonly VerificationKey[];
  /** What is passed by, a sentence for each reason: the places of the keys, and nothing of them. */
  readonly passedBy: readonly string[];
};

export type KeySetReading =
  | { readonly ok: true; readonly keySet: KeySet }
  | { readonly ok: false; readonly faults: readonly string[] };

/** Asymmetric ones only: whoever can verify must not be able to sign. */
const RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const;
export const ALGORITHMS = [
  ...RSA_ALGORITHMS,
  ...(["ES256", "ES384", "ES512", "EdDSA", "Ed25519"] as const),
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

const SET_CHARACTERS_MAX = 64 * 1024;
const KEYS_MAX = 32;
const RSA_BITS_MIN = 2_048;

const CURVES: Readonly<Record<string, readonly Algorithm[]>> = {
  "EC P-256": ["ES256"],
  "EC P-384": ["ES384"],
  "EC P-521": ["ES512"],
  // Two names of one algorithm (RFC 9864).
  "OKP Ed25519": ["EdDSA", "Ed25519"],
};

/** Tells of each key by its place in the set and never with its content. */
export function parseKeySet(text: string): KeySetReading {
  if (text.length > SET_CHARACTERS_MAX) return broken("is larger than 64 KiB");
  const entries = keyEntriesOf(text);
  if (typeof entries === "string") return broken(entries);
  const jwks = entries.map(recordOf);
  const leaked = jwks.findIndex((jwk) => jwk["kty"] !== "oct" && jwk["d"] !== undefined);
  // Whoever has read the set can sign since then: nothing in it may count.
  if (leaked >= 0)
    return broken(`key ${leaked + 1} is a PRIVATE key: only public keys belong here`);
  const reasons = new Map<string, number[]>();
  const keys: VerificationKey[] = [];
  for (const [index, jwk] of jwks.entries()) {
    const made = verificationKey(jwk, jwks.length === 1);
    if (typeof made === "string") reasons.set(made, [...(reasons.get(made) ?? []), index + 1]);
    else if (!keys.some((known) => isSame(known, made))) keys.push(made);
  }
  const passedBy = [...reasons].map(([reason, places]) => {
    return `${places.length === 1 ? "key" : "keys"} ${places.join(", ")}: ${reason}`;
  });
  if (keys.length > KEYS_MAX) return broken(`holds more than ${KEYS_MAX} keys`);
  if (keys.length > 0) return { ok: true, keySet: { text, keys, passedBy } };
  return broken(["holds no key that verifies", ...passedBy].join("; "));
}

/** Those that a token may have been signed with; it names the key, and the key has the algorithm. */
export function keysFor(
  keys: readonly VerificationKey[],
  { kid, alg }: { readonly kid?: unknown; readonly alg?: unknown },
): { readonly named: boolean; readonly fitting: readonly KeyObject[] } {
  const [only] = keys;
  // Where there is one key there is nothing to choose: either may leave its name out.
  const isOnly = keys.length === 1 && (kid === undefined || only?.kid === null);
  const named = isOnly ? keys : keys.filter((key) => typeof kid === "string" && key.kid === kid);
  const fitting = named.filter(({ algorithms }) => algorithms.some((one) => one === alg));
  return { named: named.length > 0, fitting: fitting.map(({ key }) => key) };
}

/** What is no key set, without its content. */
export function broken(fault: string): KeySetReading {
  return { ok: false, faults: [fault] };
}

/** A reason to pass it by ends a sentence that begins with its place. */
function verificationKey(
  jwk: Readonly<Record<string, unknown>>,
  isOnly: boolean,
): VerificationKey | string {
  const { kty, use, kid, key_ops: operations } = jwk;
  if (kty === "oct") return "a shared secret, where only public keys belong";
  if (use !== undefined && use !== "sig") return "for another use than signatures";
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return "for other operations than to verify";
  }
  const algorithms = algorithmsOf(jwk);
  if (algorithms.length === 0) return `for none of ${ALGORITHMS.join(", ")}`;
  const name = typeof kid === "string" && kid !== "" ? kid : null;
  if (name === null && !isOnly) return "without a kid, so that no token can name it";
  try {
    const { kty: kind, crv, n, e, x, y } = jwk;
    const key = createPublicKey({ key: members({ kty: kind, crv, n, e, x, y }), format: "jwk" });
    const { modulusLength = RSA_BITS_MIN } = key.asymmetricKeyDetails ?? {};
    if (modulusLength < RSA_BITS_MIN) return `of fewer than ${RSA_BITS_MIN} bits`;
    return { kid: name, algorithms, key };
  } catch {
    // Node's own words may hold the key's members.
    return "not a whole key";
  }
}

function members(all: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function algorithmsOf({ kty, crv, alg }: Readonly<Record<string, unknown>>): readonly Algorithm[] {
  if (kty === "RSA") return RSA_ALGORITHMS.filter((one) => alg === undefined || one === alg);
  const possible = CURVES[`${String(kty)} ${String(crv)}`] ?? [];
  // A key for EdDSA verifies what says Ed25519, and the other way round.
  return alg === undefined || possible.some((one) => one === alg) ? possible : [];
}

function isSame(one: VerificationKey, other: VerificationKey): boolean {
  const { asymmetricKeyType } = one.key;
  if (one.kid !== other.kid || asymmetricKeyType !== other.key.asymmetricKeyType) return false;
  return one.key.equals(other.key);
}

/** Text: why there are none. */
function keyEntriesOf(text: string): readonly unknown[] | string {
  const wanted = 'must be a JSON object with a list "keys" (a JWK Set)';
  let set: Readonly<Record<string, unknown>>;
  try {
    set = recordOf(JSON.parse(text.replace(/^\uFEFF/, "")));
  } catch {
    // The parser's words would repeat the file.
    return /^\s*</.test(text) ? `${wanted}; it is HTML` : wanted;
  }
  const { keys } = set;
  if (Array.isArray(keys)) return keys;
  if ("jwks_uri" in set) return `${wanted}; it is a provider's description: use its jwks_uri`;
  if ("kty" in set) return `${wanted}; it is a single key: put it into such a list`;
  const isCertificates = Object.values(set).some((one) =>
    String(one).startsWith("-----BEGIN CERT"),
  );
  return isCertificates
    ? `${wanted}; it holds certificates: use the address of the JWK Set`
    : wanted;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
