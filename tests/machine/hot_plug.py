"""Cards plugged into a running Debian guest and taken out by `touka slot`: the stock pciehp and nvme drivers come and go, the
file has the same bytes at the same block, one card that is pulled under fio disturbs no other one, a card whose server
stays away goes and comes back with it, and a reboot finds what is in the slots (T1, T2). With an IOMMU and without."""
import hashlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from guest import TOUKA, Machine, check
from served_device import Device

MIB = 1 << 20
# A step of the test is a line on the console; the guest does it and says so.
SCRIPT = """#root
wait_for() { for i in $(seq 150); do [ -b $1 ] && return; sleep 0.1; done; }
wait_gone() { for i in $(seq 150); do [ -e $1 ] || return; sleep 0.1; done; }
verify() { fio --name=v --filename=$1 --size=8m --rw=randwrite --bsrange=4k-64k --ioengine=libaio --iodepth=8 --direct=1 \\
    --verify=crc32c --do_verify=1 --minimal >/tmp/fio.log 2>&1 || cat /tmp/fio.log; }
disk_with() { for each in /sys/class/nvme/*; do
    [ "$(cat $each/serial 2>/dev/null | tr -d ' ')" = $1 ] && echo /dev/$(basename $each)n1; done; }
await() { for i in $(seq 150); do d=$(disk_with $1); [ -b "$d" ] && break; sleep 0.1; done; echo $d; }
echo GROUPS $(ls /sys/kernel/iommu_groups | wc -l)
grep -c "pciehp" /proc/interrupts | sed 's/^/PCIEHP /'
grep "pciehp" /proc/interrupts | grep -c "MSI" | sed 's/^/MSI /'
echo READY
while read -r step serial; do
    case $step in
        pattern)
            d=$(await $serial)
            verify $d; echo "FIO $serial $?"
            dd if=/dev/urandom of=/tmp/pattern bs=64k count=1 2>/dev/null
            dd if=/tmp/pattern of=$d bs=64k seek=300 oflag=direct 2>/dev/null
            echo "HASH $serial $(sha256sum </tmp/pattern)" ;;
        read)
            d=$(await $serial)
            echo "READ $serial $(dd if=$d bs=64k skip=300 count=1 iflag=direct 2>/dev/null | sha256sum)" ;;
        gone)
            for i in $(seq 150); do [ -z "$(disk_with $serial)" ] && break; sleep 0.1; done
            echo "GONE $serial $(disk_with $serial)." ;;
        load)
            d=$(await $serial)
            counts=/sys/block/$(basename $d)/stat; before=$(cat $counts)
            fio --name=l --filename=$d --size=8m --rw=randrw --bs=4k --ioengine=libaio --iodepth=8 --direct=1 --time_based \\
                --runtime=60 --allow_file_create=0 --minimal >/tmp/load.log 2>&1 &
            for i in $(seq 600); do [ "$(cat $counts)" != "$before" ] && break; sleep 0.1; done
            sleep 0.5; echo "LOADED $serial" ;;
        loaded) wait $!; echo "LOAD-ENDED $?" ;;
        lost)
            d=$(await $serial)
            echo 2000 >/sys/block/$(basename $d)/queue/io_timeout
            dd if=$d of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null; echo "LOST $serial $?" ;;
        log) dmesg | grep -E "pciehp|nvme|DMAR" | sed 's/^/DMESG /'; echo "LOGGED" ;;
        reboot) echo b >/proc/sysrq-trigger; sleep 60 ;;
        end) break ;;
    esac
done
"""


class Slots:
    """`touka slot` on one machine's control socket."""

    def __init__(self, socket, timeout_s=60):
        self.socket = socket
        self.timeout_s = timeout_s

    def run(self, *words):
        return subprocess.run([TOUKA, "slot", *words, "--socket", self.socket], capture_output=True, text=True,
                              timeout=self.timeout_s)

    def do(self, *words):
        done = self.run(*words)
        check(done.returncode == 0, f"touka slot {' '.join(words[:1] + words[2:])}: {done.stdout.strip()}", done.stderr)
        return done.stdout

    def states(self):
        rows = [line.split() for line in self.run("ls").stdout.splitlines()[1:]]
        return {int(row[0]): "-" if row[-1] == "-" else pathlib.Path(row[-1].split(",")[0]).name for row in rows}


def open_files(machine):
    folder = pathlib.Path(f"/proc/{machine.process.pid}/fd")
    return {os.path.basename(os.readlink(entry)) for entry in folder.iterdir() if entry.exists()}


def say(machine, step, answer, timeout_s=60):
    """@return the rest of the line that the guest answers a step with."""
    def answers():
        return [line.split(answer, 1)[1].strip() for line in machine.output().splitlines() if answer in line]

    count = len(answers())
    machine.enter(step)
    deadline = time.monotonic() + timeout_s
    while len(answers()) == count:
        if time.monotonic() > deadline:
            check(False, f"{step}: the guest answers", machine.output())
        time.sleep(0.02)
    return answers()[-1]


def plug_and_eject(machine, slots, disk):
    slots.do("plug", f"nvme:{disk},serial=HOT")
    check(say(machine, "pattern HOT", "FIO HOT") == "0", "fio --verify on a card that was plugged in", machine.output())
    machine.wait_for("HASH HOT")
    written = machine.wait_for("HASH HOT").split()[2]
    with open(disk, "rb") as file:
        file.seek(300 * 65536)
        check(hashlib.sha256(file.read(65536)).hexdigest() == written, "the file has it at the same block")
    check("hot.raw" in open_files(machine) and slots.states()[2] == "hot.raw", "slot 2 has it", str(slots.states()))
    slots.do("eject", "2")
    check("hot.raw" not in open_files(machine), "its file is closed", str(open_files(machine)))
    check(say(machine, "gone HOT", "GONE HOT") == ".", "the guest's driver let it go")
    slots.do("plug", f"nvme:{disk},serial=HOT", "4")
    check(say(machine, "read HOT", "READ HOT").split()[0] == written, "in another slot it has the same data",
          machine.output())
    return written


def pull_under_load(machine, slots):
    say(machine, "load HOT", "LOADED HOT")
    slots.do("pull", "4")
    check(say(machine, "loaded", "LOAD-ENDED") != "0", "fio is told that its card has gone", machine.output())
    check(say(machine, "gone HOT", "GONE HOT") == ".", "the guest goes on without a card that was pulled under fio",
          machine.output())
    check(say(machine, "pattern COLD", "FIO COLD") == "0", "the other card verifies clean", machine.output())


def served_card(machine, slots, folder):
    server = Device(folder, ("served",), 32 * MIB, serial="SERVED")
    try:
        slots.do("plug", f"vfio-user:{server.socket('served')}", "5")
        check(say(machine, "pattern SERVED", "FIO SERVED") == "0", "fio --verify on another process's card", machine.output())
        written = machine.wait_for("HASH SERVED").split()[2]
        server.stop(signal.SIGKILL)
        check(say(machine, "lost SERVED", "LOST SERVED") != "0" and say(machine, "gone SERVED", "GONE SERVED") == ".",
              "when its server stays away, the guest's driver lets it go", machine.output())
        check("no server" in slots.run("ls").stdout, "touka slot ls tells why")
        server.start()
        check(say(machine, "read SERVED", "READ SERVED").split()[0] == written, "it is back when the server is",
              machine.output())
        slots.do("pull", "5")
        check(say(machine, "gone SERVED", "GONE SERVED") == ".", "and is pulled as others are", machine.output())
    finally:
        server.stop()


def scenario(folder, *extra):
    cold, hot, control = (str(pathlib.Path(folder) / name) for name in ("cold.raw", "hot.raw", "control.sock"))
    for path in (cold, hot):
        with open(path, "wb") as file:
            file.truncate(32 * MIB)
    machine = Machine(SCRIPT, "--device", f"nvme:{cold},serial=COLD", "--control", control, "--cpus", "2", "--memory", "384M",
                      *extra, command_line="intel_iommu=on nvme_core.multipath=0")
    slots = Slots(control)
    machine.wait_for("READY")
    check((machine.wait_for("GROUPS").split()[1] != "0") == bool(extra), "the IOMMU is used when there is one")
    check(machine.wait_for("PCIEHP").split()[1] == machine.wait_for("MSI ").split()[1] == "5",
          "pciehp drives five slots by messages", machine.output())
    written = plug_and_eject(machine, slots, hot)
    pull_under_load(machine, slots)
    if not extra:
        served_card(machine, slots, folder)
    slots.do("plug", f"nvme:{hot},serial=HOT", "3")
    refused = slots.run("plug", f"nvme:{hot}")
    check(refused.returncode != 0 and "twice" in refused.stderr, "one disk is not plugged in twice", refused.stderr)
    say(machine, "log", "LOGGED")
    log = [line for line in machine.output().splitlines() if line.startswith("DMESG")]
    check(any("Attention button pressed" in line for line in log), "pciehp tells of the button", machine.output())
    check(not any("DMAR: [" in line for line in log), "no access was one that the IOMMU had to refuse", "\n".join(log))
    if not extra:
        say(machine, "reboot", "READY")
        check(slots.states() == {1: "cold.raw", 2: "-", 3: "hot.raw", 4: "-", 5: "-"}, "a reboot leaves the cards in",
              str(slots.states()))
    check(say(machine, "read HOT", "READ HOT").split()[0] == written, "and what is on them", machine.output())
    machine.enter("end")
    check(machine.finish() == 0, "the guest powers off", machine.output())


def main():
    for extra in ((), ("--iommu",)):
        print(" ".join(extra) or "without IOMMU")
        with tempfile.TemporaryDirectory(prefix="touka-slots-") as folder:
            scenario(folder, *extra)


if __name__ == "__main__":
    main()
