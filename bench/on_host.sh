#!/bin/sh
# on_host.sh ROOT ARGUMENT...: cpu_workloads on the bare host, with the guest's own files. Run as root in a mount namespace of
# its own, with which what is mounted here ends.
set -eu
root=$1
shift
mount -t proc proc "$root/proc"
mount -t tmpfs tmp "$root/tmp"
mount --bind /dev "$root/dev"
exec chroot "$root" /bench/cpu_workloads "$@"
