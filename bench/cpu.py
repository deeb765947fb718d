"""The CPU engines on whole programs: ./dev bench cpu.

Runs the workloads on the bare host, under QEMU's TCG and under Touka, taking turns at each, in rounds, and prints a table
of the least times. The programs, the kernel and the processors used are the same for all.
"""
import argparse
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import threading
import time

from reporting import note, processor, progress
from results import HOST, START, TCG, Engine, complaints, record, table

QEMU = "qemu-system-x86_64"
HERE = pathlib.Path(__file__).parent
SILENCE_S = 300  # after which an engine is taken to hang; the longest workload takes TCG a tenth of that


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench cpu", description=__doc__.split("\n\n")[1])
    parser.add_argument("filter", nargs="?", default="", metavar="FILTER",
                        help="only workloads whose group/name matches this regular expression")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default 3)")
    parser.add_argument("--cpus", type=int, default=1, help="processors of guest and host (default 1)")
    parser.add_argument("--engine", action="append", choices=["translator", "interpreter", "kvm"],
                        help="of Touka; may be repeated (default translator)")
    parser.add_argument("--without", action="append", default=[], choices=["host", "tcg"],
                        help="leave the bare host or QEMU's TCG out")
    parser.add_argument("--scale", type=float, default=1, help="amount of work (default 1; 0.1 to try something quickly)")
    parser.add_argument("--list", action="store_true", help="print the workloads and end")
    parser.add_argument("--touka", help=argparse.SUPPRESS)
    parser.add_argument("--guest", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not 1 <= arguments.cpus <= len(os.sched_getaffinity(0)):
        parser.error("at least one round; processors as many as this process may use")
    return arguments


def choose_workloads(guest, pattern):
    """@return (group, name) of those that match, in their own order."""
    listed = subprocess.run([guest / "root/bench/cpu_workloads", "--list"], capture_output=True, text=True, check=True)
    found = [tuple(line.split()) for line in listed.stdout.splitlines()]
    chosen = [entry for entry in found if re.search(pattern, "/".join(entry))]
    if not chosen:
        sys.exit(f"./dev bench cpu: no workload matches '{pattern}'; there are: {' '.join(name for _, name in found)}")
    return chosen


class Lost(Exception):
    """An engine ended or fell silent where it should not have."""


class Session:
    """An engine's guest (for the host: the same root, without a guest), which does one thing at a time when told."""

    def __init__(self, engine, command):
        self.engine = engine
        self.began = time.monotonic()
        self.said = []
        self.lines = queue.Queue()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=read_lines, args=(self.process.stdout, self.lines), daemon=True).start()

    def wait_for(self, is_awaited, what):
        """Reads lines up to one of which `is_awaited` is true. @return seconds since the process's start."""
        try:
            while (entry := self.lines.get(timeout=SILENCE_S)) is not None:
                when, line = entry
                self.said.append(line)
                if is_awaited(line):
                    return when - self.began
            reason = f"ended with status {self.process.wait(SILENCE_S)}"
        except (queue.Empty, subprocess.TimeoutExpired):
            reason = f"was silent for {SILENCE_S} s"
        raise Lost(f"{self.engine.name}: {reason} before {what}; its last lines:\n    " + "\n    ".join(self.said[-8:]))

    def tell(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # wait_for tells what it left behind

    def work(self, workload):
        self.tell(workload)
        self.wait_for(self.engine.take, f"an answer to {workload}")

    def finish(self):
        """The guest powers off. What it thinks of its workloads, their lines have said."""
        self.tell("")
        end(self.process, patience_s=30)


class Bench:
    """The engines' commands, and the order in which things are run."""

    def __init__(self, arguments, workloads, engines):
        self.arguments = arguments
        self.workloads = [name for _, name in workloads]
        self.engines = engines
        self.lost = set()  # the names of engines that are not tried again
        cores = sorted(os.sched_getaffinity(0))[-arguments.cpus:]
        self.pinned = ["taskset", "--cpu-list", ",".join(map(str, cores))]

    def host_command(self):
        root = [] if os.geteuid() == 0 else ["sudo"]
        return [*self.pinned, *root, "unshare", "--mount", "--propagation", "private", "sh", str(HERE / "on_host.sh"),
                str(self.arguments.guest / "root"), "--serve", "--scale", str(self.arguments.scale)]

    def guest_command(self, engine, initrd, append=""):
        guest, cpus = self.arguments.guest, str(self.arguments.cpus)
        boot = ["--kernel", str(guest / "vmlinuz"), "--initrd", str(guest / initrd),
                "--append", f"console=ttyS0 quiet panic=-1 {append}"]
        if engine.name == TCG:
            return [*self.pinned, QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", cpus, "-m", "1G",
                    "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
                    *(word.replace("--", "-", 1) for word in boot)]
        return [*self.pinned, self.arguments.touka, "run", "--quiet", "--no-reboot", "--engine", engine.name,
                "--cpus", cpus, "--memory", "1G", *boot]

    def attempt(self, engine, action):
        """@return what the action did; None, and the engine is out, when it lost the engine."""
        try:
            return action()
        except Lost as loss:
            engine.errors.append(str(loss))
            self.lost.add(engine.name)
            return None

    def time_start(self, engine):
        session = Session(engine, self.guest_command(engine, "start.cpio"))
        try:
            engine.add_time(START, session.wait_for("USERSPACE".__eq__, "/init"))
        finally:
            session.finish()

    def open_session(self, engine):
        """@return a session that waits for workloads."""
        session = Session(engine, self.host_command() if engine.name == HOST else self.guest_command(
            engine, "root.cpio", f"scale={self.arguments.scale}"))
        try:
            session.wait_for("READY".__eq__, "the first workload")
        except BaseException:
            end(session.process)
            raise
        return session

    def round(self, title):
        """Every workload once: an engine after the other, so that what else the machine does meets all of them."""
        sessions = []
        try:
            for engine in self.engines:
                progress(f"{title}, {engine.name} starts")
                if engine.name != HOST and engine.name not in self.lost:
                    self.attempt(engine, lambda: self.time_start(engine))
                if engine.name not in self.lost:
                    session = self.attempt(engine, lambda: self.open_session(engine))
                    sessions += [session] if session else []
            for number, workload in enumerate(self.workloads, 1):
                for session in sessions:
                    if session.engine.name in self.lost:
                        continue
                    progress(f"{title}, {workload} ({number} of {len(self.workloads)}), {session.engine.name}")
                    self.attempt(session.engine, lambda: session.work(workload))
        finally:
            for session in sessions:
                session.finish()


def end(process, patience_s=0):
    """Waits for its end, then ends it; gently first, or what sudo started would outlive it."""
    for wait_s, insist in ((patience_s, process.terminate), (5, process.kill), (None, None)):
        try:
            process.wait(wait_s)
            return
        except subprocess.TimeoutExpired:
            insist()


def read_lines(stream, lines):
    """Puts (when it came, line) for each, then None."""
    for line in stream:
        lines.put((time.monotonic(), line.decode("latin1").rstrip("\r\n")))
    lines.put(None)


def choose_engines(arguments):
    engines = [] if "host" in arguments.without else [Engine(HOST)]
    if "tcg" not in arguments.without:
        if shutil.which(QEMU):
            engines.append(Engine(TCG))
        else:
            note(f"no {QEMU} here: the columns of TCG stay empty")
    return engines + [Engine(name) for name in dict.fromkeys(arguments.engine or ["translator"])]


def main():
    arguments = parse_arguments()
    workloads = choose_workloads(arguments.guest, arguments.filter)
    if arguments.list:
        print("\n".join("/".join(entry) for entry in workloads))
        return 0
    engines = choose_engines(arguments)
    bench = Bench(arguments, workloads, engines)
    for number in range(1, arguments.rounds + 1):
        began = time.monotonic()
        title = f"round {number} of {arguments.rounds}"
        bench.round(title)
        note(f"{title}: {len(workloads)} workloads in {time.monotonic() - began:.0f} s")

    for engine in engines:
        for workload, reason in engine.lacks.items():
            note(f"{engine.name}: {workload} left out: {reason}")
    print(table(engines, workloads))
    errors = complaints(engines, workloads)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        settings = {"rounds": arguments.rounds, "cpus": arguments.cpus, "scale": arguments.scale,
                    "processor": processor()}
        arguments.json.write_text(json.dumps(record(engines, workloads, settings), indent=1) + "\n")
        note(f"every time of every round: {arguments.json}")
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
