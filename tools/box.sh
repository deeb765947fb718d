# The box: a server emulated by QEMU (software CPU with SVM and nested paging) that boots Debian's full kernel and
# sees this machine's files, so that the KVM engine runs real kernels on machines whose own /dev/kvm cannot.

BOX=.cache/box
BOX_DEVICES=() # more arguments of the box's QEMU

make_box() {
    # shellcheck disable=SC2086
    need $PACKAGES_BOX $PACKAGES_TEST
    local package stamp root=$BOX/root tree=$BOX/kernel
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
    [ -n "$package" ] || { as_root apt-get update -q >/dev/null; make_box; return; }
    stamp=$(cat tools/box.sh tests/box/init.sh <(echo "$package") | sha256sum | cut -c1-16)
    [ "$(cat "$BOX/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    rm -rf --one-file-system "$BOX"
    mkdir -p "$BOX" "$root/bin" "$root/modules"
    note "downloading $package"
    (cd "$BOX" && apt-get -qq -o APT::Sandbox::User=root download "$package")
    dpkg-deb -x "$BOX/$package"_*.deb "$tree"
    cp "$tree"/boot/vmlinuz-* "$BOX/vmlinuz"

    local version module line
    version=$(basename "$tree"/lib/modules/*)
    /sbin/depmod -b "$tree" "$version"
    cp "$(command -v busybox)" "$root/bin/busybox"
    install -m 755 tests/box/init.sh "$root/init"
    for module in virtio_pci virtio_console 9p 9pnet_virtio overlay virtio_rng qemu_fw_cfg kvm_amd tun vhost_net vfio_pci vfio_iommu_type1 nvme; do
        /sbin/modprobe -d "$tree" -S "$version" --show-depends "$module" | awk '/^insmod/ { print $2 }' |
            while read -r line; do
                [ -e "$root/modules/$(basename "$line")" ] || {
                    cp "$line" "$root/modules/"
                    basename "$line" >>"$root/modules/order"
                }
            done
    done
    pack_root "$root" "$BOX/initrd.cpio"
    rm -rf --one-file-system "$tree" "$BOX"/*.deb
    echo "$stamp" >"$BOX/stamp"
}

# in_box SECONDS COMMAND...: runs the command inside; its output and its exit status come back.
in_box() {
    local limit=$1 log status
    shift
    log=$(mktemp)
    timeout -k 5 "$limit" qemu-system-x86_64 -nodefaults -no-user-config -display none -machine q35 \
        -device intel-iommu,intremap=on,caching-mode=on -accel tcg,thread=multi -cpu max,la57=off,-pku -smp "${BOX_CPUS:-1}" -m 3072 -no-reboot \
        -kernel "$BOX/vmlinuz" -initrd "$BOX/initrd.cpio" \
        -append "console=ttyS0 quiet loglevel=3 panic=-1 tsc=reliable no_timer_check mitigations=off random.trust_cpu=on cryptomgr.notests intel_iommu=on" \
        -serial "file:$log.serial" -device virtio-rng-pci \
        -chardev stdio,id=out,signal=off -device virtio-serial-pci -device virtconsole,chardev=out \
        -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
        -device virtio-9p-pci,fsdev=root,mount_tag=hostroot \
        -fw_cfg "name=opt/box/command,string=$(printf '%q ' cd "$PWD")&& $(printf '%q ' "$@")" \
        "${BOX_DEVICES[@]}" </dev/null | tee "$log" >&2 || true
    status=$(sed -n 's/^BOX-STATUS \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    [ -n "$status" ] || tail -n 20 "$log.serial" >&2
    rm -f "$log" "$log.serial"
    return "${status:-124}"
}

# A controller with virtual functions, and one without.
box_with_nvme() {
    truncate -s 64M "$BOX/physical.raw" "$BOX/plain.raw"
    BOX_DEVICES=(-device pcie-root-port,id=rp0,chassis=1,slot=1 -device nvme-subsys,id=subsystem,nqn=subsystem
        -device nvme,id=physical,serial=PHYSICAL,subsys=subsystem,bus=rp0,max_ioqpairs=14,msix_qsize=13,sriov_max_vfs=4,sriov_vq_flexible=12,sriov_vi_flexible=8,sriov_max_vq_per_vf=3,sriov_max_vi_per_vf=2
        -drive "if=none,id=shared,file=$BOX/physical.raw,format=raw" -device nvme-ns,drive=shared,bus=physical,nsid=1,shared=on
        -device pcie-root-port,id=rp1,chassis=2,slot=2
        -drive "if=none,id=own,file=$BOX/plain.raw,format=raw" -device nvme,id=plain,serial=PLAIN,drive=own,bus=rp1)
}

test_box() {
    step "Making the box (Debian's full kernel under QEMU)"
    make_box
    make_test_guest
    step "The KVM engine in the box"
    in_box 900 bash tests/box/kvm.sh
    step "Functions of the box passed through by VFIO"
    box_with_nvme
    in_box 900 bash tests/box/vfio.sh
    step "A function of another process, its doorbells mapped"
    BOX_DEVICES=()
    BOX_CPUS=2 in_box 600 bash tests/box/vfio_user.sh
}
