"""The CPU engines on whole programs: ./dev bench cpu.

Runs the workloads on the bare host, under QEMU's TCG and under Touka, one after the other in rounds, and prints a table
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


class Bench:
    """The engines' commands, and running them."""

    def __init__(self, arguments, workloads):
        self.arguments = arguments
        self.names = [name for _, name in workloads]
        cores = sorted(os.sched_getaffinity(0))[-arguments.cpus:]
        self.pinned = ["taskset", "--cpu-list", ",".join(map(str, cores))]

    def host_command(self):
        root = [] if os.geteuid() == 0 else ["sudo"]
        return [*root, "unshare", "--mount", "--propagation", "private",
                "sh", str(HERE / "on_host.sh"), str(self.arguments.guest / "root"),
                "--scale", str(self.arguments.scale), ",".join(self.names)]

    def guest_command(self, engine, initrd, append):
        guest, cpus = self.arguments.guest, str(self.arguments.cpus)
        boot = ["--kernel", str(guest / "vmlinuz"), "--initrd", str(guest / initrd),
                "--append", f"console=ttyS0 quiet panic=-1 {append}"]
        if engine == TCG:
            return [QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", cpus, "-m", "1G", "-nodefaults",
                    "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
                    *(word.replace("--", "-", 1) for word in boot)]
        return [self.arguments.touka, "run", "--quiet", "--no-reboot", "--engine", engine, "--cpus", cpus, "--memory", "1G",
                *boot]

    def start(self, engine):
        """Times from the process's start to the guest's first program."""
        self.follow(engine, self.guest_command(engine.name, "start.cpio", ""), start=True)

    def work(self, engine, title):
        """Runs the workloads once."""
        command = self.host_command() if engine.name == HOST else self.guest_command(
            engine.name, "root.cpio", f"scale={self.arguments.scale} workloads={','.join(self.names)}")
        self.follow(engine, command, title=title)

    def follow(self, engine, command, start=False, title=""):
        began = time.monotonic()
        process = subprocess.Popen([*self.pinned, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        lines = queue.Queue()
        threading.Thread(target=read_lines, args=(process.stdout, lines), daemon=True).start()
        done, reached, said = 0, False, []
        try:
            while (entry := lines.get(timeout=SILENCE_S)) is not None:
                when, line = entry
                said.append(line)
                if line == "USERSPACE":
                    reached = True
                    if start:
                        engine.add_time(START, when - began)
                elif engine.take(line):
                    done += 1
                    progress(f"{title} {done}/{len(self.names)}")
            status = process.wait(SILENCE_S)
        except (queue.Empty, subprocess.TimeoutExpired):
            status = f"silent for {SILENCE_S} s"
        finally:
            end(process)
        finished = reached if start else done == len(self.names)
        # The workloads' own status says only what their lines have said.
        if not finished or (status != 0 and engine.name != HOST):
            after = f"after {done} of {len(self.names)} workloads" if not start else "on the way to /init"
            engine.errors.append(f"{engine.name}: ended {after} (status {status}); its last lines:\n    "
                                 + "\n    ".join(said[-8:]))
        if not start:
            note(f"{title}: {done} workloads in {time.monotonic() - began:.0f} s")


def end(process):
    """Ends what still runs; gently first, or what sudo started would outlive it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def read_lines(stream, lines):
    """Puts (when it came, line) for each, then None."""
    for line in stream:
        lines.put((time.monotonic(), line.decode("latin1").rstrip("\r\n")))
    lines.put(None)


def progress(text):
    """A line that the next one replaces; only for people."""
    if sys.stderr.isatty():
        print(f"\r\033[K      {text}", end="", file=sys.stderr, flush=True)


def note(text):
    print(f"{chr(13) + chr(27) + '[K' if sys.stderr.isatty() else ''}      {text}", file=sys.stderr, flush=True)


def processor():
    return re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE).group(1)


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
    bench = Bench(arguments, workloads)
    engines = choose_engines(arguments)
    for number in range(1, arguments.rounds + 1):
        for engine in engines:
            title = f"round {number} of {arguments.rounds}, {engine.name}"
            progress(title)
            if engine.name != HOST and not engine.errors:
                bench.start(engine)
            if not engine.errors:  # what cannot start, or failed in an earlier round, says nothing new
                bench.work(engine, title)

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
