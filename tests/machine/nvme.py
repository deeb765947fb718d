"""The stock nvme driver and nvme-cli on `--device nvme:`: what was written is at the same block of the file, commands and
identify data are what a controller of its own would give, virtual functions come up through virt-mgmt (T1, T2);
protection information goes with the blocks, in its file, and damage there is found."""
import hashlib
import pathlib
import re
import tempfile

from guest import check, run

MIB = 1 << 20
VIRTUAL = 2
SCRIPT = """#root
export PATH=$PATH:/tmp/more/usr/sbin:/tmp/more/usr/bin LD_LIBRARY_PATH=/tmp/more/usr/lib/x86_64-linux-gnu
n=/dev/nvme0n1
for i in $(seq 50); do [ -e $n ] && break; sleep 0.2; done
echo GROUPS $(ls /sys/kernel/iommu_groups | wc -l) $(dmesg | grep -c "DMAR-IR: Enabled IRQ remapping")
echo SIZE $(cat /sys/block/nvme0n1/size)
nvme id-ctrl /dev/nvme0 | sed 's/^/ID /'
nvme smart-log /dev/nvme0 | sed 's/^/SMART /'
lspci -vvv -s 01:00.0 2>&1 | sed 's/^/LSPCI /'
fio --name=verify --filename=$n --size=16m --rw=randwrite --bsrange=512-64k --ioengine=libaio --iodepth=16 --direct=1 \\
    --verify=crc32c --do_verify=1 --fsync=64 --minimal >/tmp/fio.log 2>&1 || cat /tmp/fio.log
echo FIO $?
dd if=/dev/urandom of=/tmp/pattern bs=64k count=1 2>/dev/null
dd if=/tmp/pattern of=$n bs=64k seek=300 oflag=direct 2>/dev/null
sha256sum /tmp/pattern | sed 's/^/HASH /'
nvme compare $n --start-block=$((300 * 128)) --block-count=127 --data-size=65536 --data=/tmp/pattern 2>&1 | sed 's/^/COMPARE /'
nvme compare $n --start-block=$((301 * 128)) --block-count=127 --data-size=65536 --data=/tmp/pattern 2>&1 | sed 's/^/OTHER /'
nvme resv-register $n --nrkey=0xa --rrega=0 && nvme resv-acquire $n --crkey=0xa --rtype=1 --racqa=0 && echo RESERVED
nvme resv-report $n | sed 's/^/REPORT /'
"""
FUNCTIONS = """
nvme resv-release $n --crkey=0xa --rtype=1 --rrela=0 >/dev/null
p=/sys/bus/pci/devices/0000:01:00.0
echo 0 >$p/sriov_drivers_autoprobe
echo %d >$p/sriov_numvfs && echo "ENABLED $(cat $p/sriov_numvfs)"
for c in 1 2; do
    nvme virt-mgmt /dev/nvme0 -c $c -r 0 -a 8 -n 3 >/dev/null && nvme virt-mgmt /dev/nvme0 -c $c -r 1 -a 8 -n 3 >/dev/null
    nvme virt-mgmt /dev/nvme0 -c $c -a 9 >/dev/null && echo "ONLINE $c"
done
nvme list-secondary /dev/nvme0 | sed 's/^/SECONDARY /'
echo nvme >/sys/bus/pci/devices/0000:01:00.1/driver_override
echo 0000:01:00.1 >/sys/bus/pci/drivers/nvme/bind
for i in $(seq 50); do [ -b /dev/nvme1n1 ] && break; sleep 0.2; done
ls /dev | sed -n 's/^nvme/NODE nvme/p'
dd if=/dev/nvme1n1 bs=64k skip=300 count=1 iflag=direct 2>/dev/null | sha256sum | sed 's/^/THROUGH-VF /'
fio --name=v --filename=/dev/nvme1n1 --offset=32m --size=8m --rw=randwrite --bs=4k --ioengine=libaio --iodepth=8 --direct=1 \\
    --verify=crc32c --do_verify=1 --minimal >/tmp/fio.log 2>&1 || cat /tmp/fio.log
echo VF-FIO $?
lspci -vvv -s 01:00.0 | sed -n 's/.*ATSCtl:/ATS PF /p'
lspci -vvv -s 01:00.1 | sed -n 's/.*ATSCtl:/ATS VF /p'
echo KERNEL-FAULTS $(dmesg | grep -c "DMAR.*fault")
echo 1 >/sys/bus/pci/devices/0000:01:00.1/reset && echo "VF RESET"
dd if=/dev/nvme0n1 bs=64k skip=300 count=1 iflag=direct 2>/dev/null | sha256sum | sed 's/^/AFTER-RESET /'
echo 0 >$p/sriov_numvfs && echo "DISABLED"
echo 1 >$p/reset && echo "PF RESET"
dd if=/dev/nvme0n1 bs=64k skip=300 count=1 iflag=direct 2>/dev/null | sha256sum | sed 's/^/AFTER-PF-RESET /'
nvme format $n --lbaf=1 --force >/dev/null 2>&1 && echo "FORMATTED $(cat /sys/block/nvme0n1/queue/logical_block_size)"
dd if=$n bs=64k skip=300 count=1 iflag=direct 2>/dev/null | tr -d '\\0' | wc -c | sed 's/^/LEFT /'
dd if=/tmp/pattern of=$n bs=64k seek=300 oflag=direct 2>/dev/null
""" % VIRTUAL

INFORMATION_AT = 36 << 10  # of the file of metadata: behind its header and its map
DAMAGED_BLOCK = 1000
PROTECT = """#root
export PATH=$PATH:/tmp/more/usr/sbin:/tmp/more/usr/bin LD_LIBRARY_PATH=/tmp/more/usr/lib/x86_64-linux-gnu
n=/dev/nvme0n1
for i in $(seq 50); do [ -e $n ] && break; sleep 0.2; done
"""
FORMAT_PROTECTED = PROTECT + """
nvme format $n --lbaf=2 --pi=1 --force >/dev/null 2>&1 && echo FORMATTED $(cat /sys/block/nvme0n1/size)
nvme id-ns $n | sed 's/^/NS /'
echo PROFILE $(cat /sys/block/nvme0n1/integrity/format)
fio --name=verify --filename=$n --size=16m --rw=randwrite --bsrange=512-64k --ioengine=libaio --iodepth=16 --direct=1 \\
    --verify=crc32c --do_verify=1 --fsync=64 --minimal >/tmp/fio.log 2>&1 || cat /tmp/fio.log
echo FIO $?
dd if=/dev/urandom of=/tmp/pattern bs=512 count=8 2>/dev/null
dd if=/tmp/pattern of=$n bs=512 seek=%d oflag=direct 2>/dev/null && echo WRITTEN
# Regions that were written to are looked at by the next start, as after a crash, until some flushes later.
for i in 1 2 3 4 5 6; do nvme flush $n --namespace-id=1 >/dev/null; done
""" % DAMAGED_BLOCK
READ_PROTECTED = PROTECT + """
echo PROFILE $(cat /sys/block/nvme0n1/integrity/format)
dd if=$n of=/dev/null bs=512 skip=%d count=1 iflag=direct 2>/dev/null && echo "NEIGHBOUR READ"
dd if=$n of=/dev/null bs=512 skip=%d count=1 iflag=direct 2>/dev/null || echo "DAMAGE FOUND"
nvme read $n --start-block=%d --block-count=0 --data-size=512 --prinfo=12 2>&1 >/dev/null | sed 's/^/STATUS /'
""" % (DAMAGED_BLOCK + 1, DAMAGED_BLOCK, DAMAGED_BLOCK)


def marked(output, word):
    return [line.split(word + " ", 1)[1] for line in output.splitlines() if line.startswith(word + " ")]


def check_commands(output, disk):
    check(marked(output, "SIZE") == [str(64 * MIB // 512)], "the namespace has the file's size", output)
    check(any(re.match(r"sn +: SERIAL1", line) for line in marked(output, "ID")), "id-ctrl has the serial", output)
    check(any("critical_warning" in line for line in marked(output, "SMART")), "smart-log answers", output)
    complaints = [line for line in marked(output, "LSPCI") if "pcilib" in line or "!!!" in line]
    check(not complaints and any("Non-Volatile memory controller" in line for line in marked(output, "LSPCI")),
          "lspci -vvv reads all capabilities", output)
    check("FIO 0" in output, "fio --verify finds what it wrote", output)
    pattern = marked(output, "HASH")[0].split()[0]
    with open(disk, "rb") as file:
        file.seek(300 * 65536)
        check(hashlib.sha256(file.read(65536)).hexdigest() == pattern, "the file has it at the same block", output)
    check(any("Success" in line for line in marked(output, "COMPARE")), "COMPARE of the same succeeds", output)
    check(not any("Success" in line for line in marked(output, "OTHER")), "COMPARE of other data fails", output)
    check("RESERVED" in output and any("rtype     : 1" in line for line in marked(output, "REPORT")),
          "a reservation is reported", output)
    return pattern


def check_functions(output, pattern):
    check(f"ENABLED {VIRTUAL}" in output, "virtual functions are enabled", output)
    check("ONLINE 1" in output and "ONLINE 2" in output, "virt-mgmt brings them online", output)
    check(len(marked(output, "NODE")) > 2, "the stock driver binds one", output)
    for step in ("THROUGH-VF", "AFTER-RESET", "AFTER-PF-RESET"):
        check(marked(output, step)[0].split()[0] == pattern, f"the data are there {step.lower()}", output)
    check("VF-FIO 0" in output, "fio --verify through a virtual function", output)
    check("FORMATTED 4096" in output and marked(output, "LEFT") == ["0"], "format gives blocks of 4096 bytes, and zeroes",
          output)
    for step in ("VF RESET", "DISABLED", "PF RESET"):
        check(step in output, step.lower(), output)


def check_protection(folder):
    """A format with metadata stays when the machine is off, and what is damaged meanwhile is noticed."""
    disk, metadata = folder / "protected.raw", folder / "protected.pi"
    with open(disk, "wb") as file:
        file.truncate(64 * MIB)
    card = ("--device", f"nvme:{disk},metadata={metadata}", "--memory", "512M")
    status, output = run(FORMAT_PROTECTED, *card, more=("devices.cpio",))
    check(status == 0, "the guest powers off", output)
    check(marked(output, "FORMATTED") == [str(64 * MIB // 512)], "format --pi gives all blocks", output)
    check(any(re.match(r"dps +: 0x1", line) for line in marked(output, "NS")), "id-ns says type 1", output)
    check(marked(output, "PROFILE") == ["T10-DIF-TYPE1-CRC"], "the block layer has the integrity profile", output)
    check("FIO 0" in output and "WRITTEN" in output, "fio --verify finds what it wrote, and its information", output)
    check(disk.stat().st_size == 64 * MIB, "the file has the blocks and nothing else", output)
    with open(metadata, "r+b") as file:
        file.seek(INFORMATION_AT + 8 * DAMAGED_BLOCK)
        guard = file.read(1)[0]
        file.seek(INFORMATION_AT + 8 * DAMAGED_BLOCK)
        file.write(bytes([guard ^ 1]))
    status, output = run(READ_PROTECTED, *card, more=("devices.cpio",))
    check(status == 0, "the guest powers off", output)
    check(marked(output, "PROFILE") == ["T10-DIF-TYPE1-CRC"], "the format is kept", output)
    check("NEIGHBOUR READ" in output and "DAMAGE FOUND" in output, "a read of the damaged block fails", output)
    check(any("guard" in line.lower() for line in marked(output, "STATUS")), "with Guard Check Error", output)


def main():
    with tempfile.TemporaryDirectory(prefix="touka-nvme-") as folder:
        disk = pathlib.Path(folder) / "data.raw"
        with open(disk, "wb") as file:
            file.truncate(64 * MIB)
        for extra in ((), ("--iommu",)):
            print(" ".join(extra) or "without IOMMU")
            card = f"nvme:{disk},serial=SERIAL1,vfs={VIRTUAL},ats=on"
            status, output = run(SCRIPT + FUNCTIONS, "--device", card, "--cpus", "2", "--memory", "512M", *extra,
                                 command_line="intel_iommu=on nvme_core.multipath=0", more=("devices.cpio",))
            check(status == 0, "the guest powers off", output)
            remapped = marked(output, "GROUPS")[0].split()
            check((remapped[0] != "0" and remapped[1] == "1") == bool(extra), "the IOMMU is used when there is one", output)
            enabled = [line.split()[:2] for line in marked(output, "ATS")]
            check(enabled == ([["PF", "Enable+,"], ["VF", "Enable+,"]] if extra else []),
                  "the stock driver lets both functions keep translations, if there is an IOMMU", output)
            check("KERNEL-FAULTS 0" in output, "no access was blocked", output)
            check_functions(output, check_commands(output, disk))
        check_protection(pathlib.Path(folder))


if __name__ == "__main__":
    main()
