"""Two guests and the host share a unit and fence each other, as clusters do it: fence_scsi of Debian's fence-agents in the
guests, persistent reservations by hand on the host. Who is fenced gets RESERVATION CONFLICT, the others go on writing, and
the target remembers it all through kill -9 (APTPL)."""
import re
import tempfile
import time

from guest import Machine, check
from host_initiator import GOOD, RESERVATION_CONFLICT, HostInitiator
from target import NAME, Target, empty_disk

UNIT = """
[[unit]]
name = "shared"
type = "disk"
path = "shared.raw"
"""
VHOST_TARGET = "iqn.2026-01.example:vhost"
KEYS = {"a": 0xA1, "b": 0xB2, "host": 0xC3}
BLOCK = {"a": 8, "b": 16, "host": 24}  # where each writes, over and over
KIND = 5                               # write exclusive, registrants only: what fence_scsi reserves with
# A node of the cluster: does what is typed on its console. `writer` counts up in one block until it is refused;
# `conflict` writes without the kernel's retries, once there are no unit attentions left.
SCRIPT = """#root
modprobe -a virtio_scsi sd_mod sg
stty -echo
mount -t tmpfs run /run
d=/dev/sda
export PYTHONPATH=/tmp/more/usr/share/fence:/tmp/more/usr/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=1
export LD_LIBRARY_PATH=/tmp/more/usr/lib/x86_64-linux-gnu
fence() { /tmp/more/usr/sbin/fence_scsi -d $d "$@" 2>&1; }
watchdog_check() { /tmp/more/usr/share/cluster/fence_scsi_check 2>&1; }
put() { printf '%-512s' "$2" | dd of=$d bs=512 seek=$1 oflag=direct iflag=fullblock 2>/dev/null; }
writer() { while put $1 $n; do n=$((n + 1)); echo $n >/tmp/count; sleep 0.1; done; echo refused >/tmp/refused; }
conflict() { sg_turs -n 4 $d >/dev/null 2>&1; printf '%-512s' conflict | sg_raw -s 512 $d 2a 00 00 00 00 $(printf %02x $1) 00 00 01 00 2>&1; }
echo 0 >/tmp/count
until [ -b $d ]; do sleep 0.1; done
echo "NODE IS UP"
while read -r line; do
    eval "$line"
    echo "STATUS=$?="
done
"""


class Node:
    """A guest that writes into its block of the unit."""

    def __init__(self, name, unit):
        self.name, self.key, self.block = name, f"{KEYS[name]:x}", BLOCK[name]
        self.machine = Machine(SCRIPT, "--scsi", unit, "--name", name, "--memory", "384M", more=("fence.cpio",))

    def run(self, line, timeout_s=60):
        """@return (exit status, output) of a line of shell."""
        before = len(self.machine.lines)
        self.machine.enter(line)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            output = "\n".join(text for text in self.machine.lines[before:] if text is not None)
            if ended := re.search(r"^STATUS=(\d+)=$", output, re.MULTILINE):
                return int(ended.group(1)), output[:ended.start()].strip()
            time.sleep(0.02)
        self.machine.kill()
        check(False, f"{self.name} does {line!r} within {timeout_s} s", self.machine.output())

    def fence(self, arguments, says, status=0):
        """Runs the agent. @param says what its output contains."""
        ended, output = self.run(f"fence {arguments}")
        check(ended == status and says in output, f"{self.name}: fence_scsi {arguments}: {says or ended}",
              f"{ended}: {output}")

    def join(self):
        """Is unfenced, as at the node's start."""
        self.fence(f"-o on -k {self.key} -a", "Success: Powered ON")
        self.run(f"rm -f /tmp/refused; n=$(cat /tmp/count); writer {self.block} &")

    def refused(self):
        """Its writer has been refused, and so is a command whose status is looked at."""
        for _ in range(100):
            if self.run("[ -e /tmp/refused ]")[0] == 0:
                break
        else:
            return False
        return self.conflicts()

    def conflicts(self):
        return re.search("Reservation [Cc]onflict", self.run(f"conflict {self.block}")[1]) is not None

    def finish(self):
        self.machine.enter("exit")
        check(self.machine.finish() == 0, f"{self.name} powers off", self.machine.output())


class Cluster:
    """Two nodes and the host, which also looks at the medium for what has been written."""

    def __init__(self, target, units):
        self.target = target
        self.nodes = {name: Node(name, unit) for name, unit in units.items()}
        self.log_in()
        for node in self.nodes.values():
            node.machine.wait_for("NODE IS UP")

    def log_in(self):
        self.host = HostInitiator("iqn.2026-01.example:host", self.target.address, NAME, 0)

    def host_writes(self):
        return self.host.write(BLOCK["host"], b"host".ljust(512))

    def written(self, name):
        text = self.host.read(BLOCK[name]).decode("latin1").strip()
        return int(text) if text.isdigit() else -1

    def check_writers(self, going, standing=(), when=""):
        """All of `going` write on by ten more, all of `standing` no more at all."""
        before = {name: self.written(name) for name in (*going, *standing)}
        deadline = time.monotonic() + 60
        while any(self.written(name) < before[name] + 10 for name in going) and time.monotonic() < deadline:
            time.sleep(0.1)
        after = {name: self.written(name) for name in before}
        for name in going:
            check(after[name] >= before[name] + 10, f"{name} writes {when}: {before[name]}, then {after[name]}")
        for name in standing:
            check(after[name] == before[name], f"{name} writes no more {when}: {before[name]}, then {after[name]}")

    def check_registered(self, *names, holder):
        keys = self.host.keys()
        check(keys == sorted(KEYS[name] for name in names), f"registered: {', '.join(names)}", str(keys))
        reservation = self.host.reservation()
        check(reservation == (KEYS[holder], KIND), f"{holder} holds the reservation", str(reservation))


def nobody_writes_before_joining(cluster):
    a, b = cluster.nodes.values()
    a.join()
    check(cluster.host_writes() == RESERVATION_CONFLICT, "the host cannot write before it has registered")
    check(b.conflicts(), "b cannot write before it has joined", b.machine.output())
    b.join()
    check(cluster.host.register(KEYS["host"]) == GOOD and cluster.host_writes() == GOOD, "the host registers and writes")
    cluster.check_registered("a", "b", "host", holder="a")
    a.fence(f"-o status -k {b.key}", "Status: ON")
    b.fence("-o monitor", "")
    cluster.check_writers(("a", "b"), when="as a member")


def a_guest_fences_the_host(cluster):
    cluster.nodes["b"].fence(f"-o off -k {KEYS['host']:x}", "Success: Powered OFF")
    check(cluster.host_writes() == RESERVATION_CONFLICT, "the host gets RESERVATION CONFLICT")
    cluster.check_registered("a", "b", holder="a")
    cluster.check_writers(("a", "b"), when="while the host is fenced")


def the_host_fences_a_guest(cluster):
    a, b = cluster.nodes.values()
    check(cluster.host.register(KEYS["host"]) == GOOD and cluster.host_writes() == GOOD, "the host registers again")
    check(cluster.host.preempt_and_abort(KEYS["host"], KEYS["b"]) == GOOD, "the host fences b by PREEMPT AND ABORT")
    check(b.refused(), "b gets RESERVATION CONFLICT", b.machine.output())
    check(b.run("watchdog_check")[0] == 2, "b's watchdog would reset it")
    cluster.check_registered("a", "host", holder="a")
    a.fence(f"-o status -k {b.key}", "Status: OFF", status=2)
    cluster.check_writers(("a",), ("b",), when="after b was fenced")
    check(cluster.host_writes() == GOOD, "the host writes on")
    b.join()
    check(b.run("watchdog_check")[0] == 0, "b's watchdog is content")
    cluster.check_writers(("a", "b"), when="after b was unfenced")


def the_guests_fence_each_other(cluster):
    a, b = cluster.nodes.values()
    a.fence(f"-o off -k {a.key}", "You can not fence yourself", status=1)
    b.fence(f"-o off -k {a.key}", "Success: Powered OFF")
    check(a.refused(), "a, which held the reservation, gets RESERVATION CONFLICT", a.machine.output())
    cluster.check_registered("b", "host", holder="b")
    cluster.check_writers(("b",), ("a",), when="after a was fenced")
    a.join()
    cluster.check_writers(("a", "b"), when="after a was unfenced")
    a.fence(f"-o off -k {b.key}", "Success: Powered OFF")
    check(b.refused(), "b gets RESERVATION CONFLICT", b.machine.output())
    cluster.check_registered("a", "host", holder="a")


def the_target_remembers(cluster):
    a, b = cluster.nodes.values()
    cluster.target.kill()
    cluster.target.start()
    cluster.log_in()
    cluster.check_registered("a", "host", holder="a")
    cluster.check_writers(("a",), ("b",), when="after the target was killed")
    check(cluster.host_writes() == GOOD, "the host writes after its new login without registering again")
    check(b.conflicts(), "b is fenced still", b.machine.output())
    b.join()
    cluster.check_writers(("a", "b"), when="after b was unfenced")


def scenario(b_by_vhost_user):
    with tempfile.TemporaryDirectory(prefix="touka-fence-") as folder:
        empty_disk(f"{folder}/shared.raw", 64 << 20)
        socket = f"{folder}/vhost.sock"
        more = f'[[target]]\nname = "{VHOST_TARGET}"\n[[target.lun]]\nnumber = 0\nunit = "shared"\n' \
               f'[[vhost-user]]\nsocket = "{socket}"\ntarget = "{VHOST_TARGET}"\nwwpn = "50:01:43:80:00:00:00:01"\n'
        with Target(folder, UNIT, ["shared"], more) as target:
            by_iscsi = f"iscsi:{target.address},{NAME},0"
            cluster = Cluster(target, {"a": by_iscsi, "b": f"vhost-user:{socket}" if b_by_vhost_user else by_iscsi})
            nobody_writes_before_joining(cluster)
            a_guest_fences_the_host(cluster)
            the_host_fences_a_guest(cluster)
            the_guests_fence_each_other(cluster)
            the_target_remembers(cluster)
            for node in cluster.nodes.values():
                node.finish()
            cluster.host.close()


def main():
    for b_by_vhost_user in (False, True):
        print(f"a and the host by iSCSI, b by {'vhost-user' if b_by_vhost_user else 'iSCSI'}", flush=True)
        scenario(b_by_vhost_user)


if __name__ == "__main__":
    main()
