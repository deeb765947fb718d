#!/usr/bin/env bash
# Inside the box: an NVMe controller behind the box's IOMMU, then one of its virtual functions, given to Debian on the KVM
# engine by the groups of the kernel's VFIO; what the guest wrote is read from outside. Then the controller is plugged into
# a running guest and taken out.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1 TOUKA_ENGINE=kvm
. tests/box/host_controllers.sh

plain=$(controller PLAIN)
physical=$(controller PHYSICAL)
echo "before: $(build/release/bin/touka devices | grep -A1 "^$plain" | tail -n 1)"
bind "$plain"
python3 tests/machine/passed_function.py "$plain"
python3 tests/machine/passed_function.py --iommu "$plain"

make_virtual "$physical"
python3 tests/machine/passed_function.py "$virtual" "$shared"

python3 tests/machine/plugged_function.py "$plain" "$virtual"
python3 tests/machine/plugged_function.py --iommu "$plain"
