"""One touka-device, its functions given to several machines, as several servers have them (MR-IOV), each in network
and mount namespaces of its own: nothing is between them but the socket's path. Each drives its own at once; one is
killed, one is reset, one function goes to another machine, and the rest verifies clean. The device process itself is
killed and started again under fio: the machine goes on, and what was acknowledged is there."""
import os
import signal
import subprocess
import tempfile
import time

from guest import Machine, check
from served_device import Device

FUNCTIONS = ("pf", "a", "b", "c")
MIB = 1 << 20
WAIT = """#root
n=/dev/nvme0n1
for i in $(seq 100); do [ -b $n ] && break; sleep 0.2; done
echo "HAS $(cat /sys/block/nvme0n1/size)"
"""
# Each writes in a part of its own of the namespace that all share.
VERIFY = """
fio --name=v --filename=$n --offset=%dm --size=16m --rw=randwrite --bsrange=4k-64k --ioengine=libaio --iodepth=8 --direct=1 \\
    --verify=crc32c --do_verify=1 --loops=%d --minimal >/tmp/fio.log 2>&1 || cat /tmp/fio.log
echo "FIO $?"
"""


def ways_apart():
    """@return how to run a program in network and mount namespaces of its own; nothing where that is not permitted."""
    for way in (("unshare", "--net", "--mount"), ("unshare", "--user", "--map-root-user", "--net", "--mount")):
        if subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            return way
    print("without namespaces of their own: unshare is not permitted")
    return ()


APART = ways_apart()


def machine(device, name, script):
    return Machine(WAIT + script, "--device", f"vfio-user:{device.socket(name)}", "--memory", "384M", "--name", name,
                   program_prefix=APART)


def namespaces(process):
    """Of its network and its mounts; "self" is this process."""
    return [os.readlink(f"/proc/{process}/ns/{kind}") for kind in ("net", "mnt")]


def three_at_once(device):
    steady = machine(device, "pf", VERIFY % (0, 6))
    reset = machine(device, "a", VERIFY % (32, 1) + "echo 1 >/sys/class/nvme/nvme0/reset_controller && echo RESET\n" +
                    VERIFY % (32, 1))
    doomed = machine(device, "b", VERIFY % (64, 1000))
    for each in (steady, reset, doomed):
        each.wait_for("HAS 262144")
    if APART:
        all_of = [namespaces(each.process.pid) for each in (steady, reset, doomed)] + [namespaces("self")]
        apart = all(len(set(kind)) == len(all_of) for kind in zip(*all_of))
        check(apart, "the machines share no network and no mounts", str(all_of))
    connected = [each["connected"] for each in device.ask(command="ls")["functions"]]
    check(connected == [True, True, True, False], "the manager sees who has which function", str(connected))
    time.sleep(2)
    doomed.kill()
    check(reset.finish() == 0 and reset.output().count("FIO 0") == 2 and "RESET" in reset.output(),
          "one function verifies clean before and after its reset", reset.output())
    heir = machine(device, "b", VERIFY % (64, 1))
    check(heir.finish() == 0 and "FIO 0" in heir.output(), "the killed machine's function serves another one",
          heir.output())
    check(steady.finish() == 0 and "FIO 0" in steady.output(), "the first verified clean all the time", steady.output())


def hand_over(device):
    holder = machine(device, "a", VERIFY % (32, 1) + "sleep 60\n")
    holder.wait_for("FIO 0")
    answer = device.ask(command="hand-over", device="fast", function=1, socket=device.socket("other"))
    check(answer == {"ok": True}, "the manager hands a function over", str(answer))
    heir = machine(device, "other", VERIFY % (32, 1))
    check(heir.finish() == 0 and "FIO 0" in heir.output(), "its new machine verifies clean", heir.output())
    holder.kill()


def kill_under(device, guest):
    """Kills the device process under a guest's fio, and starts it again."""
    guest.wait_for("HAS 262144")
    time.sleep(3)
    device.stop(signal.SIGKILL)
    time.sleep(1)
    device.start()
    check(guest.finish() == 0 and "FIO 0" in guest.output(), "fio verifies clean through a kill -9 of touka-device",
          guest.output())


def killed_device(device):
    guest = machine(device, "c", VERIFY % (96, 12) + "dmesg | grep -c 'nvme nvme0' | sed 's/^/LINES /'\n")
    kill_under(device, guest)


def main():
    with tempfile.TemporaryDirectory(prefix="touka-device-") as folder:
        device = Device(folder, FUNCTIONS, 128 * MIB)
        try:
            three_at_once(device)
            hand_over(device)
            killed_device(device)
            faults = [each["faults"] for each in device.ask(command="ls")["functions"]]
            check(faults == [0, 0, 0, 0], "no function reached memory that was not granted", str(faults))
        finally:
            device.stop()


if __name__ == "__main__":
    main()
