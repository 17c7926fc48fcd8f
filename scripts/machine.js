// What a machine must have, as rules over facts: install.js asks the machine, the tests make machines up.

const nodeMin = 24;

/** Why it cannot run on such a machine, and what to do; null where it can. */
export function platformFault({ platform, arch, version, isGlibc, root, delimiter, bundled }) {
  const here = `${platform}-${arch}`;
  if (platform === "win32") {
    return "On Windows it runs inside WSL 2: `wsl --install`, then clone and start it there, on WSL's own disk.";
  }
  if (!["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"].includes(here)) {
    return `There are no engines for ${here}: use Linux or macOS on x64 or arm64.`;
  }
  if (!isGlibc) {
    return (
      "The C library of this Linux is not glibc (Alpine has musl), and the packages of Node and PostgreSQL need it: " +
      "use Debian, Ubuntu or Fedora, or `docker compose up`."
    );
  }
  if (root.includes(delimiter)) {
    return `The folder ${root} has a "${delimiter}" in its name, which parts the entries of PATH: rename it.`;
  }
  if (!bundled.includes(here) && Number(version.split(".")[0]) < nodeMin) {
    return `On ${here} it needs Node ${nodeMin} or newer, and this is ${version}: install a newer one (https://nodejs.org).`;
  }
  return null;
}

/** Whether npm failed for a file outside the project that it may not write: its cache, its log. */
export function pointsOutside(said, root) {
  const path = refusedPath(said);
  return path !== null && path !== root && !path.startsWith(`${root}/`);
}

/** What to do about what npm said. */
export function installFault(said) {
  const path = refusedPath(said);
  if (path !== null) {
    return `The user of this shell may not write ${path}: use a clone of your own, or have that changed.`;
  }
  if (/\bENOSPC\b/.test(said)) return "There is no room on the disk: make room (1 GB).";
  if (/\bENOENT\b.*\bnpm\b|\bnpm ENOENT\b/.test(said))
    return "There is no npm on the PATH: install it with Node.";
  if (/\bEINTEGRITY\b/.test(said)) {
    return "A package is not what the lockfile says: a proxy or a mirror changes it, or the cache is broken (npm cache clean --force).";
  }
  return "Check the network, and the proxy or registry that npm is told to use (npm config get registry), then run the command again.";
}

/** The file that npm was refused; null where it failed for another reason. */
function refusedPath(said) {
  if (!/\b(?:EACCES|EPERM|EROFS)\b/.test(said)) return null;
  const quoted = /(?:EACCES|EPERM|EROFS)[^'\n]*'(?<path>[^'\n]+)'/.exec(said)?.groups?.path;
  const named = /^npm (?:error|ERR!) path (?<path>.+)$/m.exec(said)?.groups?.path;
  return named ?? quoted ?? "a file of npm's";
}
