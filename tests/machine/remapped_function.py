"""Functions of a touka-device behind a guest's IOMMU: the stock nvme driver works through translated addresses, also when
the device process is killed and comes back; a driver in user space reaches what it mapped, and nothing else: the
guest's kernel hears of the fault, of its requester and its address (T5). With the tables shadowed, and with functions
that ask for translations and keep them: then what is unmapped is out of reach as soon as the guest was told so."""
import re
import tempfile

from guest import Machine, check
from served_device import Device
from shared_device import FUNCTIONS, MIB, VERIFY, WAIT, kill_under
from user_driver import drive_by_user, give_to_user

TRANSLATED = "intel_iommu=on iommu.passthrough=0"
# Both functions are paths to one namespace, which has its name from whichever came up first.
STOCK = """#root
for i in $(seq 100); do [ "$(cat /sys/class/nvme/nvme*/state | grep -c live)" = 2 ] && break; sleep 0.2; done
n=/dev/$(ls /sys/block | grep -E '^nvme[0-9]+n1$')
for i in $(seq 100); do [ -b $n ] && break; sleep 0.2; done
echo "DOMAIN $(cat /sys/bus/pci/devices/0000:01:00.0/iommu_group/type)"
dd if=/dev/urandom of=/tmp/pattern bs=64k count=64 2>/dev/null
dd if=/tmp/pattern of=$n bs=64k oflag=direct 2>/dev/null
dd if=$n of=/tmp/back bs=64k count=64 iflag=direct 2>/dev/null
cmp /tmp/pattern /tmp/back && echo SAME
dmesg | grep -c "batching disallowed" | sed 's/^/UNBATCHED /'
""" + VERIFY % (32, 2)
USER = give_to_user("0000:02:00.0") + """
dmesg | grep -c "DMAR.*fault" | sed 's/^/BEFORE /'
""" + drive_by_user("0000:02:00.0") + """
dmesg | grep -E "DMAR.*fault" | sed 's/^/KERNEL /'
dd if=$n of=/tmp/back bs=64k count=64 iflag=direct 2>/dev/null
cmp /tmp/pattern /tmp/back && echo "THE OTHER READS"
"""


def machine(device, name, script, *functions, ats="off"):
    arguments = []
    for each in functions:
        arguments += ["--device", f"vfio-user:{device.socket(each)},ats={ats}"]
    return Machine(script, *arguments, "--iommu", "--memory", "512M", "--name", name, command_line=TRANSLATED)


def both_drivers(device, ats):
    print(f"translations kept by the functions: {ats}")
    guest = machine(device, "remapped", STOCK + USER, "pf", "a", ats=ats)
    status, output = guest.finish(), guest.output()
    check(status == 0, "the guest powers off", output)
    check(re.search(r"DOMAIN DMA", output) is not None, "the guest's kernel translates the card's addresses", output)
    check("SAME" in output and "FIO 0" in output, "the stock driver's data is what it wrote", output)
    check("BEFORE 0" in output, "without a fault", output)
    # CAP.CM is for those who are told of every change.
    check(("UNBATCHED 0" in output) == (ats == "on"), "the guest need not announce what functions ask for", output)
    check("READY" in output, "a driver in user space brings the other function up", output)
    check(re.search(r"IDENTIFY 0 \w", output) is not None, "its commands reach memory that it mapped", output)
    outside = re.search(r"OUTSIDE (\d+)", output)
    check(outside is not None and int(outside[1]) & 0x7FF == 0x04, "what it did not map: Data Transfer Error", output)
    check(re.search(r"KERNEL .*02:00\.0.*fault addr 0x900000", output) is not None,
          "the fault names requester and address", output)
    check("REVOKED 1" in output, "memory that was taken away is out of reach at once", output)
    check("THE OTHER READS" in output, "the other function is not disturbed", output)
    faults = [each for each in device.ask(command="ls")["functions"] if each["faults"]]
    check(len(faults) == 1 and faults[0]["function"] == 1, "the device knows which function it was", str(faults))


def killed_device(device):
    script = WAIT + VERIFY % (96, 8) + "dmesg | grep -c 'DMAR.*fault' | sed 's/^/FAULTS /'\n"
    guest = machine(device, "back", script, "c")
    kill_under(device, guest)
    check("FAULTS 0" in guest.output(), "and the device that came back had what was mapped then", guest.output())


def main():
    with tempfile.TemporaryDirectory(prefix="touka-remapped-") as folder:
        device = Device(folder, FUNCTIONS, 128 * MIB)
        try:
            both_drivers(device, "off")
            killed_device(device)
            device.stop()
            device.start()
            both_drivers(device, "on")
        finally:
            device.stop()


if __name__ == "__main__":
    main()
