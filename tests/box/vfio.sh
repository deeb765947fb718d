#!/usr/bin/env bash
# Inside the box: an NVMe controller behind the box's IOMMU, then one of its virtual functions, given to Debian on the KVM
# engine by the kernel's VFIO; what the guest wrote is read from outside.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1 TOUKA_ENGINE=kvm

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

plain=$(controller PLAIN)
physical=$(controller PHYSICAL)
echo "before: $(build/release/bin/touka devices | grep -A1 "^$plain" | tail -n 1)"
bind "$plain"
python3 tests/machine/passed_function.py "$plain"
python3 tests/machine/passed_function.py --iommu "$plain"

name=$(basename "/sys/bus/pci/devices/$physical"/nvme/nvme*)
echo 0 >"/sys/bus/pci/devices/$physical/sriov_drivers_autoprobe"
echo 1 >"/sys/bus/pci/devices/$physical/sriov_numvfs"
for resource in 0 1; do nvme virt-mgmt "/dev/$name" -c 1 -r $resource -a 8 -n 2 >/dev/null; done
virtual=$(basename "$(readlink "/sys/bus/pci/devices/$physical/virtfn0")")
echo 1 >"/sys/bus/pci/devices/$virtual/reset"
nvme virt-mgmt "/dev/$name" -c 1 -r 0 -a 9 -n 0 >/dev/null
bind "$virtual"
python3 tests/machine/passed_function.py "$virtual" "/dev/${name}n1"
