#!/usr/bin/env bash
# Inside the box, on a kernel that has iommufd: what vfio.sh does, by iommufd, and by groups where that is said; functions of
# one IOMMU group; and a user who may lock as much memory as one machine has.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1 TOUKA_ENGINE=kvm
. tests/box/host_controllers.sh
echo "box: $(uname -r), $(ls -l /dev/iommu)"

# refused TEXT ARGUMENT...: `touka run` with these ends at once and says TEXT.
refused() {
    local text=$1 said
    shift
    if said=$(build/release/bin/touka run --kernel .cache/test-guest/vmlinuz --memory 384M "$@" 2>&1); then false; fi
    grep -qF "$text" <<<"$said" || { echo "FAILED no \"$text\": $said"; exit 1; }
    echo "ok     refused: $text"
}

# as_user LIMIT COMMAND...: as nobody, who may lock as many bytes.
as_user() {
    prlimit --memlock="$1" setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "${@:2}"
}

plain=$(controller PLAIN)
left=$(controller LEFT)
right=$(controller RIGHT)
physical=$(controller PHYSICAL)
bind "$plain"
build/release/bin/touka devices
python3 tests/machine/passed_function.py --iommufd on "$plain"
python3 tests/machine/passed_function.py --iommu "$plain"
python3 tests/machine/passed_function.py --iommufd off "$plain"

make_virtual "$physical"
python3 tests/machine/passed_function.py "$virtual" "$shared"

bind "$left"
refused "bind to vfio-pci first: $right (driver nvme)" --device "vfio:$left"
bind "$right"
refused "($left, $right) together" --iommu --device "vfio:$left" --device "vfio:$right"
refused "$left has iommufd=off" --device "vfio:$left,iommufd=off" --device "vfio:$right,iommufd=on"
python3 tests/machine/passed_function.py --beside "$right" "$left"

chmod 666 /dev/kvm
as_user 0 bash -c "$(declare -f refused); refused 'iommu: no permission' --device vfio:$plain,iommufd=on"
chmod 666 /dev/iommu "/dev/vfio/devices/$(ls "/sys/bus/pci/devices/$plain/vfio-dev")"
as_user $((100 << 20)) bash -c "$(declare -f refused); refused 'all programs of this user' --device vfio:$plain"
as_user $((400 << 20)) python3 tests/machine/passed_function.py "$plain"

python3 tests/machine/plugged_function.py "$plain" "$virtual"
python3 tests/machine/plugged_function.py --iommu "$plain"
