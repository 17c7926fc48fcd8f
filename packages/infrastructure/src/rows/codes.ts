import { randomBytes, randomFillSync } from "node:crypto";
import { codeFromRandom } from "@stampede/domain";

const BYTES_PER_CODE = 26;
const pool = new Uint8Array(BYTES_PER_CODE * 256);
let used = pool.length;

/** Draws a coupon's code from the system's cryptographic randomness, filled for many at a time. */
export function drawCode(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const code = codeFromRandom(pool.subarray(used, used + BYTES_PER_CODE));
  used += BYTES_PER_CODE;
  return code;
}

/** Draws a name that nobody else ever draws: 128 random bits, in hexadecimal. */
export function drawToken(): string {
  return randomBytes(16).toString("hex");
}
