"""Gives a function of the host to a guest: passed_function.py [--iommu] ADDRESS [BLOCK-DEVICE]. The guest's stock nvme
driver writes and reads, through the machine's IOMMU if asked; with a block device the host reads the same from there.
Run by tests/box/vfio.sh."""
import hashlib
import subprocess
import sys

from guest import check, run

SCRIPT = """#root
n=/dev/nvme0n1
for i in $(seq 100); do [ -b $n ] && break; sleep 0.2; done
echo "DOMAIN $(cat /sys/bus/pci/devices/0000:01:00.0/iommu_group/type 2>/dev/null)"
dd if=/dev/urandom of=/tmp/pattern bs=64k count=16 2>/dev/null
dd if=/tmp/pattern of=$n bs=64k oflag=direct 2>/dev/null
dd if=$n of=/tmp/back bs=64k count=16 iflag=direct 2>/dev/null
cmp /tmp/pattern /tmp/back && echo "SAME"
sha256sum /tmp/pattern | sed 's/^/HASH /'
"""


def main():
    remapped = sys.argv[1] == "--iommu"
    address, *block_devices = sys.argv[1 + remapped:]
    more, line = (["--iommu"], "intel_iommu=on iommu.passthrough=0") if remapped else ([], "")
    status, output = run(SCRIPT, "--device", f"vfio:{address}", "--memory", "384M", *more, command_line=line, timeout_s=600)
    if remapped:
        check("DOMAIN DMA" in output, "the guest's kernel translates its addresses", output)
    check(status == 0 and "SAME" in output, f"the guest writes and reads through {address}", output)
    if block_devices:
        wanted = next(line.split()[1] for line in output.splitlines() if line.startswith("HASH "))
        # Past the page cache, which has the first blocks from when the driver looked for partitions.
        read = subprocess.run(["dd", f"if={block_devices[0]}", "bs=64k", "count=16", "iflag=direct"], capture_output=True,
                              check=True)
        found = hashlib.sha256(read.stdout).hexdigest()
        check(found == wanted, "the physical function reads what the virtual one wrote", output)


if __name__ == "__main__":
    main()
