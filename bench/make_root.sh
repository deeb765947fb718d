#!/usr/bin/env bash
# make_root.sh ROOT: the root of the benchmark's guest, which is also what the host runs to compare with: programs as
# Debian's packages have them, and a text for them to work on. Nothing of it is configured or started.
# Run as root in a mount namespace of its own (tools/bench.sh does).
set -euo pipefail
root=$1
here=$(dirname "$0")

mmdebstrap --mode=root --variant=extract \
    --include=busybox-static,xz-utils,bzip2,sqlite3,python3-minimal,perl-base,gawk,luajit bookworm "$root"
# The guest holds its root in memory.
for part in var usr/share/doc usr/share/man usr/share/locale usr/share/lintian usr/lib/x86_64-linux-gnu/gconv; do
    rm -rf --one-file-system "${root:?}/$part"
done
mkdir -p "$root/bench" "$root/proc"
cp "$here"/programs/* "$root/bench/"
cp "$here/init" "$root/init"
# Real text of a fixed length that is there anyway.
LC_ALL=C
cat "$root"/usr/lib/python3.11/*.py | head -c 1500000 >"$root/bench/text" || true # head ends before cat
[ "$(stat -c %s "$root/bench/text")" -eq 1500000 ]
