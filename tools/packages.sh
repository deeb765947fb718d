# What comes from Debian 12's packages, by purpose.

PACKAGES_BUILD="g++-12 cmake ninja-build pkg-config libfmt-dev liburing-dev libzydis-dev libxbyak-dev libcli11-dev
 libtomlplusplus-dev libslirp-dev libglib2.0-dev libseccomp-dev libssl-dev libiscsi-dev nlohmann-json3-dev libgtest-dev
 libgmock-dev libbenchmark-dev python3-minimal"
PACKAGES_TEST="acpica-tools e2fsprogs iproute2 iperf3 cpio busybox-static python3 tgt libiscsi-bin qemu-utils
 qemu-block-extra"
# Unpacked for a guest, not installed: fence_scsi, and what it imports that the guest has not.
PACKAGES_FENCE="fence-agents python3-pexpect python3-ptyprocess python3-pycurl libcurl3-gnutls libnghttp2-14 librtmp1
 libssh2-1 libpsl5 libldap-2.5-0 libsasl2-2 libbrotli1"
PACKAGES_DEVICES="nvme-cli libnvme1 libjson-c5 pciutils libpci3"
PACKAGES_GUEST="mmdebstrap e2fsprogs lz4"
PACKAGES_CLANG="clang-19 clang-tidy-19 libclang-rt-19-dev"
PACKAGES_FORMAT="clang-format-19"
PACKAGES_BENCH="mmdebstrap cpio binutils python3"
PACKAGES_BENCH_STORAGE="python3 tgt qemu-system-common"
PACKAGES_QEMU="qemu-system-x86"
PACKAGES_BOX="$PACKAGES_QEMU busybox-static cpio kmod lz4 zstd nvme-cli"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "needs root for: $* (run as root, or install sudo)"
    fi
}

# need PACKAGE...: installs those that are not installed.
need() {
    local package missing=()
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)" = "ii " ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    note "installing from Debian: ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "apt-get could not install them; its whole output is in $log"
    fi
    rm -f "$log"
}
