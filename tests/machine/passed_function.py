"""Gives a function of the host to a guest: passed_function.py [--iommu] [--iommufd on|off] [--beside ADDRESS] ADDRESS
[BLOCK-DEVICE]. The guest's stock nvme driver writes and reads, through the machine's IOMMU if asked, on each of two if there
is one beside; with a block device the host reads the same from there. Nearly all of its accesses to registers and all of its
interrupts go past the machine's process. Run by tests/box/vfio.sh and iommufd.sh."""
import argparse
import hashlib
import subprocess

from guest import check, run
from passed_statistics import passed_statistics

READS, REMAPPED_READS = 1000, 200  # remapped ones take some tenths of a second each in the box
SCRIPT = """#root
echo "DOMAIN $(cat /sys/bus/pci/devices/0000:01:00.0/iommu_group/type 2>/dev/null)"
for n in {DISKS}; do
    for i in $(seq 100); do [ -b $n ] && break; sleep 0.2; done
    dd if=/dev/urandom of=/tmp/pattern bs=64k count=16 2>/dev/null
    dd if=/tmp/pattern of=$n bs=64k oflag=direct 2>/dev/null
    dd if=$n of=/tmp/back bs=64k count=16 iflag=direct 2>/dev/null
    cmp /tmp/pattern /tmp/back && echo "SAME $n"
    sha256sum /tmp/pattern | sed 's/^/HASH /'
    dd if=$n of=/dev/null bs=4k count={READS} iflag=direct 2>/dev/null && echo "READ $n"
done
echo "INTERRUPTS $(awk '/nvme/ { for (i = 2; i <= NF; ++i) if ($i ~ /^[0-9]+$/) n += $i; else break } END { print n }' /proc/interrupts)"
"""
# Seen in the box: 1 access before INTx is given up, no interrupt.
MOST_FORWARDED, MOST_RAISED = 16, 4


def check_ways(output, reads):
    """Two rings of doorbells for each read, and an interrupt: seen by the guest, and not by the machine's process."""
    interrupts = next((int(line.split()[1]) for line in output.splitlines() if line.startswith("INTERRUPTS ")), 0)
    check("READ" in output and interrupts >= reads, f"its driver takes {interrupts} interrupts", output)
    counts = passed_statistics(output)
    check(counts["mapped"] > 0, f"{counts['mapped']} bytes of its BARs are in the guest")
    check(counts["forwarded"] <= MOST_FORWARDED, f"of {2 * reads} rings and more {counts['forwarded']} were forwarded")
    check(counts["carried"] >= 2 and counts["raised"] <= MOST_RAISED,
          f"{counts['carried']} vectors by irqfd, {counts['raised']} interrupts through the process")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iommu", action="store_true")
    parser.add_argument("--iommufd", choices=("on", "off"))
    parser.add_argument("--beside")
    parser.add_argument("address")
    parser.add_argument("other", nargs="?")
    return parser.parse_args()


def card(address, iommufd):
    return f"vfio:{address}" + (f",iommufd={iommufd}" if iommufd else "")


def main():
    asked = arguments()
    more, line = (["--iommu"], "intel_iommu=on iommu.passthrough=0") if asked.iommu else ([], "")
    devices = [card(each, asked.iommufd) for each in (asked.address, asked.beside) if each]
    disks = [f"/dev/nvme{number}n1" for number in range(len(devices))]
    reads = REMAPPED_READS if asked.iommu else READS
    for each in devices:
        more += ["--device", each]
    script = SCRIPT.replace("{DISKS}", " ".join(disks)).replace("{READS}", str(reads))
    status, output = run(script, "--memory", "384M", "--stats", *more, command_line=line, timeout_s=600)
    if asked.iommu:
        check("DOMAIN DMA" in output, "the guest's kernel translates its addresses", output)
    check(status == 0 and all(f"SAME {disk}" in output and f"READ {disk}" in output for disk in disks),
          f"the guest writes and reads with {' '.join(more)}", output)
    if not asked.beside:
        check_ways(output, reads)
    if asked.other:
        wanted = next(line.split()[1] for line in output.splitlines() if line.startswith("HASH "))
        # Past the page cache, which has the first blocks from when the driver looked for partitions.
        read = subprocess.run(["dd", f"if={asked.other}", "bs=64k", "count=16", "iflag=direct"], capture_output=True,
                              check=True)
        found = hashlib.sha256(read.stdout).hexdigest()
        check(found == wanted, "the physical function reads what the virtual one wrote", output)


if __name__ == "__main__":
    main()
