/**
 * Keeps a proxy out of what is asked of this machine. With NODE_USE_ENV_PROXY=1 Node sends every request
 * to HTTP_PROXY, those to 127.0.0.1 as well, where the proxy finds itself. Node reads the list of
 * exceptions at each request, and a child that inherits this environment does, too.
 */
export function keepLocalDirect(...hosts: readonly string[]): void {
  const { no_proxy: lower, NO_PROXY: upper } = process.env;
  const known = (lower || upper || "").split(/[\s,]+/).filter((word) => word !== "");
  const list = [...new Set([...known, "127.0.0.1", "localhost", "::1", ...hosts])].join(",");
  process.env["no_proxy"] = list;
  process.env["NO_PROXY"] = list;
}
