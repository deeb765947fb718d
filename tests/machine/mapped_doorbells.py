"""A touka-device that polls its doorbells shares their page: a machine's driver rings by stores of its own or of the machine's
process, never by a message. Its expansion ROM is a file of the user's, which the guest reads."""
import hashlib
import os
import pathlib
import tempfile

from guest import Machine, check
from passed_statistics import passed_statistics
from served_device import Device

READS = 2000
SCRIPT = f"""#root
n=/dev/nvme0n1
for i in $(seq 100); do [ -b $n ] && break; sleep 0.2; done
dd if=$n of=/dev/null bs=4k count={READS} iflag=direct 2>/dev/null && echo "READ $?"
rom=/sys/bus/pci/devices/0000:01:00.0/rom
echo 1 >$rom && sha256sum <$rom | sed 's/^/ROM /'
echo "INTERRUPTS $(awk '/nvme/ {{ for (i = 2; i <= NF; ++i) if ($i ~ /^[0-9]+$/) n += $i; else break }} END {{ print n }}' /proc/interrupts)"
"""


def expansion_rom(path):
    """One image of 4 KiB. (PCI Local Bus 3.0 sections 6.3.1.1 and 6.3.1.2)"""
    image = bytearray(os.urandom(4096))
    image[0:2] = b"\x55\xAA"
    image[0x18:0x1A] = (0x40).to_bytes(2, "little")
    data = bytearray(24)
    data[0:4] = b"PCIR"
    data[10:12] = (24).to_bytes(2, "little")
    data[16:18] = (8).to_bytes(2, "little")  # of 512 bytes
    data[21] = 0x80  # the last one
    image[0x40:0x58] = data
    path.write_bytes(image)
    return hashlib.sha256(image).hexdigest()


def main():
    with tempfile.TemporaryDirectory(prefix="touka-test-") as folder:
        device = Device(folder, ["pf"], 16 << 20, poll=True)
        rom = pathlib.Path(folder) / "card,one.rom"
        wanted = expansion_rom(rom)
        card = f"vfio-user:{device.socket('pf')},rom={str(rom).replace(',', ',,')}"
        machine = Machine(SCRIPT, "--device", card, "--memory", "384M", "--stats")
        check(machine.finish() == 0 and "READ 0" in machine.output(), f"a guest makes {READS} reads", machine.output())
        check(f"ROM {wanted}" in machine.output(), "it reads the expansion ROM that it was given", machine.output())
        counts = passed_statistics(machine.output())
        interrupts = int(machine.wait_for("INTERRUPTS").split()[1])
        check(interrupts >= READS, f"its driver took {interrupts} interrupts", machine.output())
        if counts["mapped"]:
            check(counts["mapped"] == 4096, "the page of doorbells is in the guest")
            check(counts["direct"] == 0, "its processors ring by themselves")
        else:
            # Rings of completion queues are left out with shadow doorbells.
            check(counts["direct"] >= READS, "each ring was a store of the machine's process")
        check(counts["forwarded"] < 200, "messages are for bringing the controller up and down alone")
        if counts["carried"]:
            check(counts["raised"] < 20, "interrupts went past the machine's process")
        else:
            check(counts["raised"] >= READS, "interrupts came through the machine's process")
        device.stop()


if __name__ == "__main__":
    main()
