import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";

export type Unprivileged = {
  /** Who owns what the program writes; undefined when we are nobody special ourselves. */
  readonly user: User | undefined;
  /** The command to start so that the program does not run as root. */
  wrap(
    command: string,
    args: readonly string[],
  ): { readonly command: string; readonly args: readonly string[]; readonly user?: User };
};

type User = { readonly uid: number; readonly gid: number };

/**
 * How to run a program that refuses to be root. Where we are not root: as ourselves. As root: as
 * the data's owner, else the machine's `postgres` or `nobody`. No user is created.
 *
 * That user must be able to enter the folders. A clone under a private folder (root's home, one
 * made by mktemp) shuts it out, and changing the mode of other people's folders is not ours to do:
 * there the program keeps the one capability that passes closed doors (setpriv, util-linux), also where it
 * asks first whether a file may be read: access(2) looks away from what a user who is not root may, unless
 * the secure bit says otherwise.
 */
export function asUnprivileged(folders: readonly string[], dataOwner: number | null): Unprivileged {
  if (process.getuid?.() !== 0) {
    return { user: undefined, wrap: (command, args) => ({ command, args }) };
  }
  const user = chooseUser(dataOwner);
  if (folders.every((folder) => canEnter(user, resolve(folder)))) {
    return { user, wrap: (command, args) => ({ command, args, user }) };
  }
  const setpriv = [
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    "--clear-groups",
    "--securebits=+no_setuid_fixup",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
  ];
  if (spawnSync("setpriv", [...setpriv, "setpriv", "--version"]).status !== 0) {
    throw new Error(
      `PostgreSQL may not run as root, and the user it would run as (uid ${user.uid}) cannot enter ` +
        `${folders.join(" or ")}. Move the project to a folder that everybody may enter, ` +
        "or start it as another user than root.",
    );
  }
  return {
    user,
    wrap: (command, args) => ({ command: "setpriv", args: [...setpriv, command, ...args] }),
  };
}

function chooseUser(dataOwner: number | null): User {
  const candidates = ["postgres", "nobody"];
  // The owner of existing data, whoever it was: a user added later must not lock the data.
  if (dataOwner !== null && dataOwner !== 0) candidates.unshift(String(dataOwner));
  for (const name of candidates) {
    const [uid, gid] = ["-u", "-g"].map((flag) => {
      const { status, stdout } = spawnSync("id", [flag, name], { encoding: "utf8" });
      return status === 0 ? Number(stdout.trim()) : 0;
    });
    if (uid !== undefined && gid !== undefined && uid > 0) return { uid, gid };
  }
  throw new Error(
    "PostgreSQL may not run as root, and there is no user postgres or nobody to run it as. " +
      "Start as another user than root, or set DATABASE_URL.",
  );
}

/** By the permission bits; access lists are not looked at. */
function canEnter(user: User, folder: string): boolean {
  const { mode, uid, gid } = statSync(folder);
  const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
  if ((mode & bit) === 0) return false;
  const parent = dirname(folder);
  return parent === folder || canEnter(user, parent);
}
