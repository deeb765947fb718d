"""What measuring storage servers takes: a file, a server's processor and a load's, rounds in which all take turns."""
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
from results import Subject, complaints, record, table
from servers import Failed


def parser(name, description, depths):
    """@return what the command lines have in common."""
    made = argparse.ArgumentParser(prog=name, description=description)
    made.add_argument("--rounds", type=int, default=5, help="how often each is measured (default 5)")
    made.add_argument("--seconds", type=float, default=2, help="of each measurement (default 2)")
    made.add_argument("--depth", type=int, action="append",
                      help=f"reads in flight; may be repeated (default {', '.join(map(str, depths))})")
    made.add_argument("--mib", type=int, default=256, help="length of the file (default 256)")
    made.add_argument("--programs", type=pathlib.Path, help=argparse.SUPPRESS)
    made.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    made.add_argument("--json", type=pathlib.Path, help=argparse.SUPPRESS)
    made.set_defaults(default_depths=depths)
    return made


def parse(made):
    arguments = made.parse_args()
    arguments.depth = sorted(set(arguments.depth or arguments.default_depths))
    if arguments.rounds < 1 or arguments.depth[0] < 1 or arguments.depth[-1] > 128 or not 1 <= arguments.mib < 4096:
        made.error("at least one round; depths of 1 to 128; a file of 1 to 4095 MiB")
    if len(os.sched_getaffinity(0)) < 2:
        made.error("needs two processors: one for the server, one for who loads it")
    return arguments


class Bench:
    """The servers, and how each is loaded; a subclass starts them, anew in each round: how a process happens to lie in memory
    makes a tenth of a read's time, which the median is to see."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.server_cpu, self.load_cpu = map(str, sorted(os.sched_getaffinity(0))[:2])
        self.file = make_file(arguments.folder.resolve() / "disk.raw", arguments.mib << 20)
        self.subjects = []
        self.remarks = set()
        # Of a round:
        self.folder = self.stack = None
        self.commands = {}  # subject -> its generator's words, None but for the depth

    def pinned(self, cpu):
        return ["taskset", "--cpu-list", cpu]

    def add(self, name, transport, program, *words, server=None):
        known = (each for each in self.subjects if (each.name, each.transport) == (name, transport))
        subject = next(known, None)
        if subject is None:
            subject = Subject(name, transport)
            self.subjects.append(subject)
        cpu = self.load_cpu if server else self.server_cpu
        owner = ["--server", str(server.process.pid)] if server else []
        self.commands[subject] = [*self.pinned(cpu), str(self.arguments.programs / program), *map(str, words), *owner,
                                  "--bytes", str(self.arguments.mib << 20), "--seconds", str(self.arguments.seconds)]

    def serve(self, kind, *place):
        server = kind(*place, self.folder, self.file, self.pinned(self.server_cpu))
        self.stack.callback(server.stop)
        return server

    def remark(self, what):
        if what not in self.remarks:
            note(what)
            self.remarks.add(what)

    def round(self, number):
        """Everything once: a server after the other, so that what else the machine does meets all of them."""
        with contextlib.ExitStack() as self.stack:
            # Sockets' names have to be short, whatever the project's folder is called.
            self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="touka-bench-")))
            self.start()
            self.load_all(number)

    def load_all(self, number):
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
    """@return a file of that length, allocated, filled with what is no zeros, and in the page cache, read from its beginning
    to its end: in what pieces the cache has it, which depends on how they came there, is a quarter of a read's time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size != length:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, length)
            for _ in range(length >> 20):
                file.write(os.urandom(1 << 20))
            file.flush()
            os.fsync(file.fileno())
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(1 << 20):
            pass
    return path


def measure(kind, arguments, name):
    """Runs all rounds and prints the table. @return the exit status."""
    bench = kind(arguments)
    for number in range(1, arguments.rounds + 1):
        try:
            bench.round(number)
        except Failed as failure:
            sys.exit(f"{name}: {failure}")
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

