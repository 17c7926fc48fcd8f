// A disk of a few megabytes, to be filled: a tmpfs, which only root may mount. Nothing else of the
// machine is touched; where it cannot be had the cases are not run, and say so.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type SmallDisk = {
  readonly folder: string;
  /** Takes all the space that is left. */
  readonly fill: () => void;
  /** Gives it back. */
  readonly empty: () => void;
  readonly remove: () => void;
};

const BALLAST = "ballast";

/** Why it cannot be had; false where it can. */
export const smallDiskMissing: string | false = missingReason();

/** Mounts it; the caller removes it when nothing runs on it any more. */
export function mountSmallDisk(megabytes: number): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), "stampede-disk-"));
  const mounted = mount(folder, megabytes);
  if (!mounted) throw new Error(`No tmpfs could be mounted on ${folder}`);
  // PostgreSQL runs as another user where this one is root, and has to pass through.
  chmodSync(folder, 0o711);
  const ballast = join(folder, BALLAST);
  return {
    folder,
    fill() {
      const { bavail, bsize } = statfsSync(folder);
      try {
        writeFileSync(ballast, Buffer.alloc(bavail * bsize));
      } catch (error) {
        // Whoever lives on the disk took some of the space meanwhile: full is what it is to be.
        if ((error as { code?: string }).code !== "ENOSPC") throw error;
      }
    },
    empty: () => rmSync(ballast, { force: true }),
    remove() {
      spawnSync("umount", [folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function missingReason(): string | false {
  if (process.getuid?.() !== 0) return "only root may mount the small disk that a case fills";
  const folder = mkdtempSync(join(tmpdir(), "stampede-disk-"));
  const mounted = mount(folder, 1);
  if (mounted) spawnSync("umount", [folder]);
  rmSync(folder, { recursive: true, force: true });
  return mounted ? false : "this machine does not let even root mount a tmpfs";
}

function mount(folder: string, megabytes: number): boolean {
  const options = ["-t", "tmpfs", "-o", `size=${megabytes}m`, "stampede-fault", folder];
  return spawnSync("mount", options).status === 0;
}
