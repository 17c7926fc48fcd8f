#!/bin/sh
# Makes a machine of its own out of a Debian root and becomes its first process. Runs in fresh mount,
# process and network namespaces (machine.ts), so that every mount, container, network and process ends
# with it, however it ends.
#   machine-init.sh ROOT DOCKER-DATA PARTS CLONE CLONE-IN-MACHINE LOCK CGROUP
set -eu
root=$1 data=$2 parts=$3 clone=$4 place=$5 lock=$6 cgroup=$7

# Two container engines on one data folder would destroy it.
exec 9>"$lock"
flock --nonblock 9 || { echo "another npm run containers runs on this machine" >&2; exit 75; }

mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/var/lib/docker" "$root/parts" "$root$place" "$root/outside"
mount --bind "$data" "$root/var/lib/docker"
mount --bind "$parts" "$root/parts"
mount --bind "$clone" "$root$place"
ip link set lo up
# slirp4netns answers there; it leads to the outside, which cannot come in.
echo nameserver 10.0.2.3 >"$root/etc/resolv.conf"
cd "$root"
pivot_root . outside
umount -l /outside
# Of this environment nothing counts there: a TMPDIR, for one, would be no folder of that machine.
exec /usr/bin/docker-init -- /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
  dockerd --log-level=error --storage-driver=overlay2 --cgroup-parent="$cgroup" \
  --exec-opt native.cgroupdriver=cgroupfs
