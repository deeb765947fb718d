"""An NVMe function in another process: ./dev bench direct.

Reads 4 KiB at random from a file that is in the page cache, through a function of touka-device whose doorbells are
polled, by a driver in user space that polls, too; beside it qemu-storage-daemon with a virtio-blk driver that polls, and
io_uring alone: the host's own. They take turns in rounds; the table has the serving process's processor time per I/O
and IOPS: medians.
"""
import sys

from bench import Bench, measure, parse, parser
from results import HOST, OURS
from servers import Device, Qemu

NAME = "./dev bench direct"
READS = "reads"


class DirectBench(Bench):
    """Both drivers work on a queue in memory that the server maps; nobody sleeps."""

    def start(self):
        device = self.serve(Device, self.arguments.programs / "touka-device")
        self.add(OURS, READS, "nvme_load", device.socket, server=device)
        self.add(HOST, READS, "uring_load", self.file)
        if reason := Qemu.lacking():
            self.remark(f"{reason}: only the host is beside touka-device")
            return
        qemu = self.serve(Qemu)
        self.add(f"qemu-storage-daemon, {qemu.way}", READS, "vhost_load", qemu.socket, "--poll", server=qemu)


if __name__ == "__main__":
    try:
        sys.exit(measure(DirectBench, parse(parser(NAME, __doc__.split("\n\n")[1], [1, 32, 128])), NAME))
    except KeyboardInterrupt:
        sys.exit(130)
