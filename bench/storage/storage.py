"""Storage servers on one processor: ./dev bench storage.

Reads 4 KiB at random from a file that is in the page cache, through touka-target and through Debian's servers, taking
turns in rounds, and prints a table of the serving process's processor time per I/O and of IOPS: medians. The load
generators, the file, the processors and the places that are read are the same for all.
"""
import sys

from bench import Bench, measure, parse, parser
from results import HOST, OURS
from servers import Qemu, Tgt, Touka

NAME = "./dev bench storage"
ISCSI, VHOST_USER, POLLED = "iSCSI", "vhost-user", "vhost-user-polled"
IO_URING, WOKEN = "io_uring", "io_uring-woken"


def parse_arguments():
    made = parser(NAME, __doc__.split("\n\n")[1], [1, 32])
    made.add_argument("--only", action="append", choices=[ISCSI, VHOST_USER, POLLED, IO_URING, WOKEN],
                      help="one transport; may be repeated (default all)")
    return parse(made)


class StorageBench(Bench):
    """Servers of SCSI and of virtio disks."""

    def wanted(self, transport):
        return not self.arguments.only or transport in self.arguments.only

    def add(self, name, transport, program, *words, server=None):
        if self.wanted(transport):
            super().add(name, transport, program, *words, server=server)

    def start(self):
        """Starts all servers: those that wait cost nothing."""
        touka = self.serve(Touka, self.arguments.programs / "touka-target")
        self.add(OURS, ISCSI, "iscsi_load", touka.url, server=touka)
        if reason := Tgt.lacking():
            self.remark(f"{reason}: iSCSI is measured alone")
        elif self.wanted(ISCSI):
            tgt = self.serve(Tgt)
            for way, lun in tgt.luns.items():
                self.add(f"tgt, {way}", ISCSI, "iscsi_load", f"{tgt.url}/{lun}", server=tgt)
        if reason := Qemu.lacking():
            self.remark(f"{reason}: vhost-user is measured alone")
        qemu = None if reason else self.serve(Qemu)
        for transport, manner in ((VHOST_USER, []), (POLLED, ["--poll"])):
            self.add(OURS, transport, "vhost_load", touka.socket, "--scsi", *manner, server=touka)
            if qemu:
                self.add(f"qemu-storage-daemon, {qemu.way}", transport, "vhost_load", qemu.socket, *manner, server=qemu)
        self.add(HOST, IO_URING, "uring_load", self.file)
        self.add(HOST, WOKEN, "uring_load", self.file, "--client", self.load_cpu)


if __name__ == "__main__":
    try:
        sys.exit(measure(StorageBench, parse_arguments(), NAME))
    except KeyboardInterrupt:
        sys.exit(130)
