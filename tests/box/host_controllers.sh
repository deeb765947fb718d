# The NVMe controllers of the box, as its kernel has them. (tools/box.sh, box_with_nvme)

# controller SERIAL: its address.
controller() {
    local class
    for class in /sys/class/nvme/nvme*; do
        [ "$(tr -d ' ' <"$class/serial")" != "$1" ] || basename "$(readlink -f "$class/device")"
    done
}

# bind ADDRESS: to vfio-pci.
bind() {
    local device=/sys/bus/pci/devices/$1
    [ ! -e "$device/driver" ] || echo "$1" >"$device/driver/unbind"
    echo vfio-pci >"$device/driver_override"
    echo "$1" >/sys/bus/pci/drivers_probe
    [ "$(basename "$(readlink "$device/driver")")" = vfio-pci ]
}

# make_virtual ADDRESS: enables a virtual function of the controller there, with queues, and binds it to vfio-pci. Sets
# $virtual, its address, and $shared, the disk that both have.
make_virtual() {
    local name resource
    name=$(basename "/sys/bus/pci/devices/$1"/nvme/nvme*)
    echo 0 >"/sys/bus/pci/devices/$1/sriov_drivers_autoprobe"
    echo 1 >"/sys/bus/pci/devices/$1/sriov_numvfs"
    for resource in 0 1; do nvme virt-mgmt "/dev/$name" -c 1 -r $resource -a 8 -n 2 >/dev/null; done
    virtual=$(basename "$(readlink "/sys/bus/pci/devices/$1/virtfn0")")
    echo 1 >"/sys/bus/pci/devices/$virtual/reset"
    nvme virt-mgmt "/dev/$name" -c 1 -r 0 -a 9 -n 0 >/dev/null
    bind "$virtual"
    # shellcheck disable=SC2034
    shared=/dev/${name}n1
}
