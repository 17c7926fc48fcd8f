// AUTH=dev believes everybody, so it belongs where nobody else can come.
import { BlockList, isIP } from "node:net";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");
loopback.addSubnet("::ffff:127.0.0.0", 104, "ipv6");

/** A name other than localhost may mean any address, so it counts as one that others reach. */
function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host.toLowerCase() === "localhost";
  return loopback.check(host, version === 4 ? "ipv4" : "ipv6");
}

/** What is wrong with AUTH=dev on this host, or null. */
export function openDoorFault(host: string, letAnybody: string | null): string | null {
  if (letAnybody !== null && letAnybody !== "yes") {
    return "LET_ANYBODY_BE_ANYBODY must be yes, or not set at all";
  }
  if (letAnybody === "yes" || isLoopback(host)) return null;
  return (
    `AUTH=dev believes everybody who they say they are, and HOST=${host} can be reached from other ` +
    "machines: set AUTH=jwt, or HOST=127.0.0.1, or, where something else keeps everybody out, " +
    "LET_ANYBODY_BE_ANYBODY=yes"
  );
}
