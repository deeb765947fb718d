# With programs of others that no package of Debian has: the user builds them, and says where.

test_interop() {
    local samples=${TOUKA_LIBVFIO_USER:-}/build/samples
    [ -n "${TOUKA_LIBVFIO_USER:-}" ] || fail "TOUKA_LIBVFIO_USER names no folder: clone nutanix/libvfio-user, build it there \
(meson setup build && ninja -C build), and say where it is"
    step "vfio-user with libvfio-user's samples in $samples"
    TOUKA=build/release/bin/touka PYTHONDONTWRITEBYTECODE=1 python3 tests/interop/libvfio_user.py "$samples"
}
