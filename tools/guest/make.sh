#!/usr/bin/env bash
# make.sh OUT SIZE: Debian 12 from its packages into OUT/{vmlinuz,initrd.img,cmdline,disk.raw}.
# Run as root in a mount namespace of its own (tools/guest.sh does).
set -euo pipefail
out=$1
size=$2
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

packages=linux-image-cloud-amd64,tiny-initramfs,systemd-sysv,udev,dbus,systemd-resolved,iproute2,iputils-ping
packages+=,e2fsprogs,fio,iperf3,netbase,ca-certificates
packages+=,sg3-utils,mt-st,mtx,libiscsi-bin,sqlite3
mmdebstrap --mode=root --variant=minbase --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --setup-hook='mkdir -p "$1/etc/tiny-initramfs"' \
    --setup-hook="cp $here/tiny-initramfs.conf \"\$1/etc/tiny-initramfs/\"" \
    --customize-hook='copy-in '"$here"'/dhcp.network /etc/systemd/network' \
    --customize-hook='echo touka-guest >"$1/etc/hostname"' \
    --customize-hook='printf "127.0.0.1 localhost touka-guest\n::1 localhost\n" >"$1/etc/hosts"' \
    --customize-hook='echo "/dev/vda / ext4 defaults,discard 0 1" >"$1/etc/fstab"' \
    --customize-hook='chroot "$1" passwd -d root' \
    --customize-hook='chroot "$1" systemctl enable systemd-networkd systemd-resolved' \
    --customize-hook='ln -sf /run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"' \
    bookworm "$work/root"

cp "$work"/root/boot/vmlinuz-* "$out/vmlinuz"
cp "$work"/root/boot/initrd.img-* "$out/initrd.img"
echo "root=/dev/vda ro console=ttyS0 quiet" >"$out/cmdline"

rm -f "$out/disk.raw.new"
truncate -s "$size" "$out/disk.raw.new"
mke2fs -q -t ext4 -L touka-root -E lazy_itable_init=0,lazy_journal_init=0 -d "$work/root" "$out/disk.raw.new"
mv "$out/disk.raw.new" "$out/disk.raw"
