# The box: a server emulated by QEMU (software CPU with SVM and nested paging) that boots Debian's full kernel, or one
# that has iommufd, and sees this machine's files, so that the KVM engine runs real kernels on machines whose own /dev/kvm cannot.

BOX=.cache/box
BOX_KERNEL=debian # whose kernel boots: debian, or other
BOX_DEVICES=()    # more arguments of the box's QEMU
# Debian's kernels, to 7.3, are built without CONFIG_IOMMUFD. A folder with the packages of one that has it and
# CONFIG_VFIO_DEVICE_CDEV: its image and its modules.
OTHER_KERNEL=${TOUKA_BOX_KERNEL:-}

# fetch_kernel debian|other FOLDER: its packages.
fetch_kernel() {
    local package
    if [ "$1" = other ]; then
        cp "$OTHER_KERNEL"/*.deb "$2" || fail "TOUKA_BOX_KERNEL: no packages (*.deb) in $OTHER_KERNEL"
        return
    fi
    package=$(debian_kernel)
    note "downloading $package"
    (cd "$2" && apt-get -qq -o APT::Sandbox::User=root download "$package")
}
debian_kernel() { apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-[0-9]/ { print $2; exit }'; }

# make_box debian|other
make_box() {
    # shellcheck disable=SC2086
    need $PACKAGES_BOX $PACKAGES_TEST
    local package stamp folder=$BOX/$1 root=$BOX/$1/root tree=$BOX/$1/kernel
    [ -n "$(debian_kernel)" ] || as_root apt-get update -q >/dev/null
    stamp=$(cat tools/box.sh tests/box/init.sh <(debian_kernel) <(ls -l "$OTHER_KERNEL" 2>/dev/null) | sha256sum | cut -c1-16)
    [ "$(cat "$folder/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    rm -rf --one-file-system "$folder"
    mkdir -p "$root/bin" "$root/modules"
    fetch_kernel "$1" "$folder"
    for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$tree"; done
    cp "$tree"/boot/vmlinuz-* "$folder/vmlinuz"
    # As they are inserted: busybox knows one kind of compression.
    find "$tree/lib/modules" -name '*.ko.zst' -exec zstd -q -d --rm {} +

    local version module line
    version=$(basename "$tree"/lib/modules/*)
    /sbin/depmod -b "$tree" "$version"
    cp "$(command -v busybox)" "$root/bin/busybox"
    install -m 755 tests/box/init.sh "$root/init"
    for module in virtio_pci virtio_console 9p 9pnet_virtio overlay virtio_rng kvm_amd tun vhost_net vfio_pci vfio_iommu_type1 nvme; do
        /sbin/modprobe -d "$tree" -S "$version" --show-depends "$module" | awk '/^insmod/ { print $2 }' |
            while read -r line; do
                [ -e "$root/modules/$(basename "$line")" ] || {
                    cp "$line" "$root/modules/"
                    basename "$line" >>"$root/modules/order"
                }
            done
    done
    pack_root "$root" "$folder/initrd.cpio"
    rm -rf --one-file-system "$tree" "$folder"/*.deb
    echo "$stamp" >"$folder/stamp"
}

# in_box SECONDS COMMAND...: runs the command inside; its output and its exit status come back.
in_box() {
    local limit=$1 log status command
    shift
    log=$(mktemp)
    command=$(mktemp) # the box sees it where it is
    printf '%q ' cd "$PWD" >"$command"
    printf '&& ' >>"$command"
    printf '%q ' "$@" >>"$command"
    timeout -k 5 "$limit" qemu-system-x86_64 -nodefaults -no-user-config -display none -machine q35 \
        -device intel-iommu,intremap=on,caching-mode=on -accel tcg,thread=multi -cpu max,la57=off,-pku -smp "${BOX_CPUS:-1}" -m 3072 -no-reboot \
        -kernel "$BOX/$BOX_KERNEL/vmlinuz" -initrd "$BOX/$BOX_KERNEL/initrd.cpio" \
        -append "console=ttyS0 quiet loglevel=3 panic=-1 tsc=reliable no_timer_check mitigations=off random.trust_cpu=on cryptomgr.notests intel_iommu=on BOX_COMMAND=$command" \
        -serial "file:$log.serial" -device virtio-rng-pci \
        -chardev stdio,id=out,signal=off -device virtio-serial-pci -device virtconsole,chardev=out \
        -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
        -device virtio-9p-pci,fsdev=root,mount_tag=hostroot \
        "${BOX_DEVICES[@]}" </dev/null | tee "$log" >&2 || true
    status=$(sed -n 's/^BOX-STATUS \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    [ -n "$status" ] || tail -n 20 "$log.serial" >&2
    rm -f "$log" "$log.serial" "$command"
    return "${status:-124}"
}

# A controller with virtual functions, one without, and two on one card, which nothing separates: an IOMMU group.
box_with_nvme() {
    local name
    for name in physical plain left right; do truncate -s 64M "$BOX/$name.raw"; done
    BOX_DEVICES=(-device pcie-root-port,id=rp0,chassis=1,slot=1 -device nvme-subsys,id=subsystem,nqn=subsystem
        -device nvme,id=physical,serial=PHYSICAL,subsys=subsystem,bus=rp0,max_ioqpairs=14,msix_qsize=13,sriov_max_vfs=4,sriov_vq_flexible=12,sriov_vi_flexible=8,sriov_max_vq_per_vf=3,sriov_max_vi_per_vf=2
        -drive "if=none,id=shared,file=$BOX/physical.raw,format=raw" -device nvme-ns,drive=shared,bus=physical,nsid=1,shared=on
        -device pcie-root-port,id=rp1,chassis=2,slot=2
        -drive "if=none,id=own,file=$BOX/plain.raw,format=raw" -device nvme,id=plain,serial=PLAIN,drive=own,bus=rp1
        -device pcie-root-port,id=rp2,chassis=3,slot=3
        -drive "if=none,id=first,file=$BOX/left.raw,format=raw" -device nvme,serial=LEFT,drive=first,bus=rp2,addr=0.0,multifunction=on
        -drive "if=none,id=second,file=$BOX/right.raw,format=raw" -device nvme,serial=RIGHT,drive=second,bus=rp2,addr=0.1)
}

test_box() {
    step "Making the box (Debian's full kernel under QEMU)"
    make_box debian
    make_test_guest
    step "The KVM engine in the box"
    in_box 900 bash tests/box/kvm.sh
    step "Functions of the box passed through by VFIO"
    box_with_nvme
    in_box 2700 bash tests/box/vfio.sh
    if [ -n "$OTHER_KERNEL" ]; then
        step "The same on a kernel with iommufd"
        make_box other
        BOX_KERNEL=other in_box 1800 bash tests/box/iommufd.sh
    else
        note "nothing by iommufd: TOUKA_BOX_KERNEL is no folder with a kernel's packages (CONTRIBUTING.md)"
    fi
    step "A function of another process, its doorbells mapped"
    BOX_DEVICES=()
    BOX_CPUS=2 in_box 600 bash tests/box/vfio_user.sh
}
