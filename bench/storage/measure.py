"""Storage servers on one processor: ./dev bench storage.

Reads 4 KiB at random from a file that is in the page cache, through touka-target and through Debian's servers, taking
turns in rounds, and prints a table of the serving process's processor time per I/O and of IOPS: medians. The load
generators, the file, the processors and the places that are read are the same for all.
"""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).parent.parent))  # after this folder, which has results of its own
from reporting import note, processor, progress
from results import HOST, OURS, Subject, complaints, record, table
from servers import Failed, Qemu, Tgt, Touka

ISCSI, VHOST_USER, POLLED = "iSCSI", "vhost-user", "vhost-user-polled"
IO_URING, WOKEN = "io_uring", "io_uring-woken"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench storage", description=__doc__.split("\n\n")[1])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement (default 2)")
    parser.add_argument("--depth", type=int, action="append",
                        help="reads in flight; may be repeated (default 1 and 32)")
    parser.add_argument("--mib", type=int, default=256, help="length of the file (default 256)")
    parser.add_argument("--only", action="append", choices=[ISCSI, VHOST_USER, POLLED, IO_URING, WOKEN],
                        help="one transport; may be repeated (default all)")
    parser.add_argument("--programs", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.depth = sorted(set(arguments.depth or [1, 32]))
    if arguments.rounds < 1 or arguments.depth[0] < 1 or arguments.depth[-1] > 128 or not 1 <= arguments.mib < 4096:
        parser.error("at least one round; depths of 1 to 128; a file of 1 to 4095 MiB")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("needs two processors: one for the server, one for who loads it")
    return arguments


class Bench:
    """The servers, and how each is loaded."""

    def __init__(self, arguments, stack):
        self.arguments = arguments
        self.server_cpu, self.load_cpu = map(str, sorted(os.sched_getaffinity(0))[:2])
        # Sockets' names have to be short, whatever the project's folder is called.
        self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="touka-bench-")))
        self.file = make_file(arguments.folder.resolve() / "disk.raw", arguments.mib << 20)
        self.stack = stack
        self.subjects = []
        self.commands = {}  # subject -> its generator's words, None but for the depth
        self.start()

    def pinned(self, cpu):
        return ["taskset", "--cpu-list", cpu]

    def wanted(self, transport):
        return not self.arguments.only or transport in self.arguments.only

    def add(self, name, transport, program, *words, server=None):
        if not self.wanted(transport):
            return
        subject = Subject(name, transport)
        cpu = self.load_cpu if server else self.server_cpu
        owner = ["--server", str(server.process.pid)] if server else []
        self.subjects.append(subject)
        self.commands[subject] = [*self.pinned(cpu), str(self.arguments.programs / program), *map(str, words), *owner,
                                  "--bytes", str(self.arguments.mib << 20), "--seconds", str(self.arguments.seconds)]

    def serve(self, kind, *place):
        server = kind(*place, self.folder, self.file, self.pinned(self.server_cpu))
        self.stack.callback(server.stop)
        return server

    def start(self):
        """Starts all servers: those that wait cost nothing."""
        touka = self.serve(Touka, self.arguments.programs / "touka-target")
        self.add(OURS, ISCSI, "iscsi_load", touka.url, server=touka)
        if reason := Tgt.lacking():
            note(f"{reason}: iSCSI is measured alone")
        elif self.wanted(ISCSI):
            tgt = self.serve(Tgt)
            for way, lun in tgt.luns.items():
                self.add(f"tgt, {way}", ISCSI, "iscsi_load", f"{tgt.url}/{lun}", server=tgt)
        if reason := Qemu.lacking():
            note(f"{reason}: vhost-user is measured alone")
        qemu = None if reason else self.serve(Qemu)
        for transport, manner in ((VHOST_USER, []), (POLLED, ["--poll"])):
            self.add(OURS, transport, "vhost_load", touka.socket, "--scsi", *manner, server=touka)
            if qemu:
                self.add(f"qemu-storage-daemon, {qemu.way}", transport, "vhost_load", qemu.socket, *manner, server=qemu)
        self.add(HOST, IO_URING, "uring_load", self.file)
        self.add(HOST, WOKEN, "uring_load", self.file, "--client", self.load_cpu)

    def round(self, number):
        """Everything once: a server after the other, so that what else the machine does meets all of them."""
        for depth in self.arguments.depth:
            for subject in self.subjects:
                progress(f"round {number}, depth {depth}, {subject.transport}: {subject.name}")
                # The places are the same for all in a round, and others in the next.
                said, error = self.load(subject, "--depth", str(depth), "--seed", str(number))
                if not subject.take(depth, said) and error:
                    subject.errors.append(f"{subject.name} ({subject.transport}): {error}")

    def load(self, subject, *words):
        """@return what the generator printed, and what it complained of."""
        try:
            done = subprocess.run([*self.commands[subject], *words], capture_output=True, text=True,
                                  timeout=60 + 2 * self.arguments.seconds)
        except subprocess.TimeoutExpired:
            return "", "the load generator did not end"
        return done.stdout, done.stderr.strip()


def make_file(path, length):
    """@return a file of that length, allocated, filled with what is no zeros, and in the page cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size != length:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, length)
            for _ in range(length >> 20):
                file.write(os.urandom(1 << 20))
            file.flush()
            os.fsync(file.fileno())
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass
    return path


def main():
    arguments = parse_arguments()
    with contextlib.ExitStack() as stack:
        try:
            bench = Bench(arguments, stack)
        except Failed as failure:
            sys.exit(f"./dev bench storage: {failure}")
        for number in range(1, arguments.rounds + 1):
            bench.round(number)
            note(f"round {number} of {arguments.rounds}")
    print(table(bench.subjects, arguments.depth))
    errors = complaints(bench.subjects, arguments.depth)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        settings = {"rounds": arguments.rounds, "seconds": arguments.seconds, "mib": arguments.mib,
                    "processor": processor()}
        arguments.json.write_text(json.dumps(record(bench.subjects, arguments.depth, settings), indent=1) + "\n")
        note(f"every run of every round: {arguments.json}")
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
