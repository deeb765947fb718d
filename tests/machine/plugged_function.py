"""Plugs a function of the host into a running guest and takes it out again: plugged_function.py [--iommu]
[--iommufd on|off] ADDRESS [STAYS]. It is the controller PLAIN of the box. The guest's stock pciehp and nvme drivers come and
go; what was ejected is the host's own again and has the same bytes there, also while another function, STAYS, is in the
machine; it goes back into another slot, and is pulled under fio. No access of it was one that the host's IOMMU refused (T1,
T2, T5). Run by tests/box/vfio.sh and iommufd.sh."""
import glob
import hashlib
import os
import pathlib
import subprocess
import tempfile
import time

import hot_plug
from guest import Machine, check
from hot_plug import SCRIPT, Slots
from passed_function import arguments, card

# A guest on KVM on an emulated processor, on hosts that do other things, too.
TIMEOUT_S = 600
DEVICES = pathlib.Path("/sys/bus/pci/devices")


def say(machine, step, answer):
    began = time.monotonic()
    said = hot_plug.say(machine, step, answer, TIMEOUT_S)
    print(f"      {step}: {time.monotonic() - began:.0f} s", flush=True)
    return said


def read_back(machine):
    """The guest waits for its disk for some seconds only. @return the hash of what it has."""
    nothing = hashlib.sha256(b"").hexdigest()
    found = nothing
    for _ in range(4):
        if found == nothing:
            found = say(machine, "read PLAIN", "READ PLAIN").split()[0]
    return found


def give(address, driver):
    """On this host."""
    function = DEVICES / address
    if (function / "driver").exists():
        (function / "driver/unbind").write_text(address)
    (function / "driver_override").write_text(driver)
    pathlib.Path("/sys/bus/pci/drivers_probe").write_text(address)
    check((function / "driver").exists() and (function / "driver").resolve().name == driver, f"{address} is {driver}'s")


def vfio_files(machine):
    links = (os.readlink(entry) for entry in pathlib.Path(f"/proc/{machine.process.pid}/fd").iterdir() if entry.is_symlink())
    return {link for link in links if link.startswith(("/dev/vfio", "/dev/iommu"))}


def hash_on_host(address):
    give(address, "nvme")
    for _ in range(50):
        disks = glob.glob(str(DEVICES / address / "nvme/nvme*/nvme*n1"))
        if disks and os.path.exists(f"/dev/{os.path.basename(disks[0])}"):
            break
        subprocess.run(["sleep", "0.2"], check=True)
    read = subprocess.run(["dd", f"if=/dev/{os.path.basename(disks[0])}", "bs=64k", "skip=300", "count=1", "iflag=direct"],
                          capture_output=True, check=True)
    return hashlib.sha256(read.stdout).hexdigest()


def refused_accesses():
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    return [line for line in log.splitlines() if "DMAR: [" in line]


def scenario(asked, machine, slots):
    device = card(asked.address, asked.iommufd)
    before = refused_accesses()
    machine.wait_for("READY", TIMEOUT_S)
    resident = vfio_files(machine)
    slots.do("plug", device)
    first = max(number for number, name in slots.states().items() if name != "-")
    added = vfio_files(machine) - resident
    print(f"      its files: {' '.join(sorted(added))}")
    check(say(machine, "pattern PLAIN", "FIO PLAIN") == "0", "fio --verify on a function that was plugged in",
          machine.output())
    written = machine.wait_for("HASH PLAIN").split()[2]
    again = slots.run("plug", device)
    check(again.returncode != 0 and "has it already" in again.stderr, "it is not plugged in twice", again.stderr)
    slots.do("eject", str(first), "--wait", "300")
    check(say(machine, "gone PLAIN", "GONE PLAIN") == ".", "the guest's driver let it go", machine.output())
    check(vfio_files(machine) == resident, "its files are closed", str(vfio_files(machine)))
    check(hash_on_host(asked.address) == written, "the host's own driver reads what the guest wrote")
    give(asked.address, "vfio-pci")
    slots.do("plug", device, str(first + 1))
    check(read_back(machine) == written, "in another slot it has the same data",
          machine.output())
    say(machine, "load PLAIN", "LOADED PLAIN")
    slots.do("pull", str(first + 1), "--wait", "60")
    check(say(machine, "loaded", "LOAD-ENDED") != "0", "fio is told that its card has gone", machine.output())
    check(say(machine, "gone PLAIN", "GONE PLAIN") == ".", "the guest goes on without it", machine.output())
    slots.do("plug", device, str(first))
    check(read_back(machine) == written, "and has it back", machine.output())
    say(machine, "log", "LOGGED")
    log = [line for line in machine.output().splitlines() if line.startswith("DMESG")]
    check(not any("DMAR: [" in line for line in log), "the guest's IOMMU refused nothing", "\n".join(log))
    check(refused_accesses() == before, "nor did the host's", "\n".join(refused_accesses()))


def main():
    asked = arguments()
    resident = ["--device", card(asked.other, asked.iommufd)] if asked.other else []
    with tempfile.TemporaryDirectory(prefix="touka-slots-") as folder:
        control = str(pathlib.Path(folder) / "control.sock")
        machine = Machine(SCRIPT, *resident, "--control", control, "--memory", "384M", *(["--iommu"] if asked.iommu else []),
                          command_line="intel_iommu=on iommu.passthrough=0 nvme_core.multipath=0")
        scenario(asked, machine, Slots(control, TIMEOUT_S))
        machine.enter("end")
        check(machine.finish(TIMEOUT_S) == 0, "the guest powers off", machine.output())


if __name__ == "__main__":
    main()
