# The guest of the machine tests: the kernel of ./dev run, its disk as a read-only root, and an initramfs of
# busybox that runs a test's own script there. Nothing is added to the Debian on the disk. What one test needs beside it is
# an initramfs of its own, appended to the other.

TEST_GUEST=.cache/test-guest

make_test_guest() {
    # shellcheck disable=SC2086
    need $PACKAGES_TEST
    make_guest
    local stamp
    stamp=$(cat tools/test_guest.sh tools/packages.sh tests/machine/init.sh "$GUEST/stamp" | sha256sum | cut -c1-16)
    [ "$(cat "$TEST_GUEST/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    rm -rf --one-file-system "$TEST_GUEST"
    mkdir -p "$TEST_GUEST/root/bin" "$TEST_GUEST/root/modules"

    local root=$TEST_GUEST/root module
    cp "$(command -v busybox)" "$root/bin/busybox"
    install -m 755 tests/machine/init.sh "$root/init"
    for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk failover \
        net_failover virtio_net virtio_console rng-core virtio-rng virtio_balloon; do
        # Straight from the disk's file system, without mounting it.
        local path
        path=$(debugfs_find "$GUEST/disk.raw" "$module.ko")
        [ -n "$path" ] || continue
        /sbin/debugfs -R "dump $path $root/modules/$module.ko" "$GUEST/disk.raw" 2>/dev/null
        echo "$module" >>"$root/modules/order"
    done
    pack_root "$root" "$TEST_GUEST/initrd.cpio"
    make_fence_agent
    make_device_tools
    cp "$GUEST/vmlinuz" "$TEST_GUEST/vmlinuz"
    echo "$stamp" >"$TEST_GUEST/stamp"
}

# fence_scsi as Debian has it, for fencing.py.
make_fence_agent() {
    make_more fence "$PACKAGES_FENCE" usr/sbin/fence_scsi usr/share/cluster/fence_scsi_check usr/share/fence/fencing.py \
        usr/lib/python3/dist-packages usr/lib/x86_64-linux-gnu
}

# nvme and lspci, for nvme.py and those after it.
make_device_tools() {
    make_more devices "$PACKAGES_DEVICES" usr/sbin/nvme usr/bin/lspci usr/bin/setpci usr/lib/x86_64-linux-gnu
}

# make_more NAME PACKAGES PATH...: these files of Debian's packages as NAME.cpio; a guest finds them under /tmp/more.
make_more() {
    local name=$1 packages=$2 work=$TEST_GUEST/$1 package file
    shift 2
    mkdir -p "$work/packages" "$work/tree" "$work/root/more"
    # shellcheck disable=SC2086
    (cd "$work/packages" && { download $packages || { as_root apt-get update -q >/dev/null && download $packages; }; })
    for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$work/tree"; done
    for file; do
        mkdir -p "$work/root/more/$(dirname "$file")"
        cp -a "$work/tree/$file" "$work/root/more/$file"
    done
    pack_root "$work/root" "$TEST_GUEST/$name.cpio"
    rm -rf --one-file-system "$work"
}
download() { apt-get -qq -o APT::Sandbox::User=root download "$@"; }

# awk reads to the end: debugfs must not meet a closed pipe.
# debugfs_find IMAGE NAME: the path of the kernel module NAME in IMAGE, by the image's own modules.dep.
debugfs_find() {
    local image=$1 name=$2 base=/usr/lib/modules version
    version=$(/sbin/debugfs -R "ls -p $base" "$image" 2>/dev/null | awk -F/ '$6 !~ /^\.*$/ && !found { print $6; found = 1 }')
    /sbin/debugfs -R "cat $base/$version/modules.dep" "$image" 2>/dev/null |
        awk -F: -v name="$name" -v base="$base/$version/" '
            { count = split($1, parts, "/") } parts[count] == name && !found { print base $1; found = 1 }'
}
