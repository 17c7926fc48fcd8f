// Where the keys come from: a file, or an address that the operator names. A token names neither.
//
// Both are read again and again, so that keys rotate without a restart, and what they say is taken over
// as a whole. A source that is away or broken changes nothing: the last good keys stay, and it is told.
// An address may be away at the start: until it has answered once there are no keys, nobody can be told
// apart from a stranger, and the server says that it is not ready.
import { readFile } from "node:fs/promises";
import { broken, parseKeySet } from "./jwt-keys.ts";
import type { KeySet, KeySetReading, VerificationKey } from "./jwt-keys.ts";

/** The keys that count now. */
export type KeySource = {
  readonly current: () => readonly VerificationKey[];
  /** Reads the source now; never rejects. */
  readonly reread: () => Promise<void>;
  /** For a token whose key is not among them: reads the source, unless it was read just now. */
  readonly seek: () => Promise<void>;
  readonly close: () => void;
};

type Told = {
  readonly onChange: (keySet: KeySet) => void;
  /** Once for each other fault, not for each reading. */
  readonly onFault: (faults: readonly string[]) => void;
};

/** Reading a file is cheap, and this often it misses no kind of replacing. */
const FILE_EVERY_MS = 2_000;
// The cache and the cool-down of jose's createRemoteJWKSet, whose keys end with the cache where the address
// is away, and which asks again for every token while it is.
const ADDRESS_EVERY_MS = 600_000;
const ADDRESS_AGAIN_MS = 5_000;
const TICK_MS = 1_000;
/** Tokens that name unknown keys make us ask once in so long. */
const COOL_DOWN_MS = 30_000;
const ANSWER_MS_MAX = 5_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/** Takes over what the file says whenever it has changed. */
export function watchKeys({
  path,
  keySet,
  ...told
}: Told & { readonly path: string; readonly keySet: KeySet }): KeySource {
  const taking = takeKeys(() => readKeySet(path), keySet, told);
  const timer = setInterval(() => void taking.reread(), FILE_EVERY_MS);
  timer.unref();
  return { ...taking, seek: async () => undefined, close: () => clearInterval(timer) };
}

/** Takes over what the address says, at the start, every ten minutes, and for a key that is not known. */
export function fetchKeys({
  url,
  monotonicMs,
  ...told
}: Told & { readonly url: URL; readonly monotonicMs: () => number }): KeySource {
  let readAtMs = Number.NEGATIVE_INFINITY;
  let isGood = false;
  const read = async (): Promise<KeySetReading> => {
    readAtMs = monotonicMs();
    const reading = await fetchKeySet(url);
    isGood = reading.ok;
    return reading;
  };
  const taking = takeKeys(read, null, told);
  const isOlder = (ms: number): boolean => monotonicMs() - readAtMs >= ms;
  const tick = (): void => {
    if (isOlder(isGood ? ADDRESS_EVERY_MS : ADDRESS_AGAIN_MS)) void taking.reread();
  };
  const timer = setInterval(tick, TICK_MS);
  timer.unref();
  return {
    ...taking,
    async seek() {
      if (taking.isReading() || isOlder(COOL_DOWN_MS)) await taking.reread();
    },
    close: () => clearInterval(timer),
  };
}

type Taking = Pick<KeySource, "current" | "reread"> & { readonly isReading: () => boolean };

function takeKeys(
  read: () => Promise<KeySetReading>,
  first: KeySet | null,
  { onChange, onFault }: Told,
): Taking {
  let keySet = first;
  let lastFault = "";
  let reading: Promise<void> | null = null;
  const readOnce = async (): Promise<void> => {
    const now = await read();
    const fault = now.ok ? "" : now.faults.join("; ");
    if (!now.ok && fault !== lastFault) onFault(now.faults);
    lastFault = fault;
    if (!now.ok || now.keySet.text === keySet?.text) return;
    ({ keySet } = now);
    onChange(keySet);
  };
  return {
    current: () => keySet?.keys ?? [],
    // One at a time: a source that hangs must not collect readings, nor let an old one come last.
    async reread() {
      reading ??= readOnce().finally(() => {
        reading = null;
      });
      return reading;
    },
    isReading: () => reading !== null,
  };
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
  return `cannot be read (${codeOf(error) ?? "unknown reason"})`;
}

/** Follows no redirect: whose keys count is the operator's word alone. */
async function fetchKeySet(url: URL): Promise<KeySetReading> {
  try {
    const answer = await fetch(url, {
      redirect: "manual",
      headers: { accept: "application/json, application/jwk-set+json" },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    if (answer.status === 200) return await readAnswer(answer);
    await answer.body?.cancel();
    const isRedirect = answer.status >= 300 && answer.status < 400;
    const advice = isRedirect ? ", a redirect: name the address that it leads to" : "";
    return broken(`answers ${answer.status} instead of 200${advice}`);
  } catch (error) {
    return broken(whyNotFetched(error));
  }
}

async function readAnswer({ body }: Response): Promise<KeySetReading> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) return broken("answers more than 64 KiB");
    chunks.push(chunk);
  }
  return parseKeySet(Buffer.concat(chunks).toString("utf8"));
}

function whyNotFetched(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") {
    return `does not answer within ${ANSWER_MS_MAX / 1_000} s`;
  }
  const code = (error instanceof Error ? codeOf(error.cause) : null) ?? codeOf(error);
  if (code !== null && /CERT|SIGN|SSL|TLS/.test(code)) {
    return `has a certificate that is not trusted (${code}): name its authority's file in NODE_EXTRA_CA_CERTS`;
  }
  return `cannot be reached (${code ?? "unknown reason"})`;
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error ? String(error.code) : null;
}
