# The guest of ./dev run: Debian 12 as Debian's packages make it, on a raw ext4 disk, cached in .cache/guest.

GUEST=.cache/guest
GUEST_DISK_SIZE=2G

# Changes whenever the recipe does.
guest_stamp() { sha256sum tools/guest.sh tools/guest/* | sha256sum | cut -c1-16; }

make_guest() {
    [ "$(cat "$GUEST/stamp" 2>/dev/null)" != "$(guest_stamp)" ] || return 0
    # shellcheck disable=SC2086
    need $PACKAGES_GUEST
    mkdir -p "$GUEST"
    local log=$GUEST/build.log
    note "about a minute; the log is $log"
    # In a mount namespace of its own: what package scripts mount goes away with it, and nothing that is
    # deleted later can lead through a mount.
    as_root unshare --mount --propagation private bash tools/guest/make.sh "$GUEST" "$GUEST_DISK_SIZE" \
        >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "could not make the guest; see $log"; }
    as_root chown -R "$(id -u):$(id -g)" "$GUEST"
    guest_stamp >"$GUEST/stamp"
}

guest() {
    steps 1
    step "Making the guest (Debian 12: kernel, systemd, a 2 GiB raw disk)"
    rm -f "$GUEST/stamp"
    make_guest
}

run() {
    steps 3
    step "Building touka"
    build_preset release touka touka-usernet
    step "Making the guest (Debian 12: kernel, systemd, a 2 GiB raw disk); kept in $GUEST"
    make_guest
    step "Booting it: log in as root, no password; Ctrl-] leaves, poweroff ends it"
    exec build/release/bin/touka run --name debian \
        --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd.img" --append "$(cat "$GUEST/cmdline")" \
        --disk "$GUEST/disk.raw" --net user --memory 1G "$@"
}
