"""Runs a shell script in a guest on Touka and gives back what it printed.

A scenario is a Python program in this folder; CTest runs it with TOUKA (the program), GUEST (.cache/guest) and
TEST_GUEST (.cache/test-guest) in the environment. It exits 0 when everything held, 77 to be counted as skipped.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOUKA = os.environ.get("TOUKA", "build/release/bin/touka")
GUEST = pathlib.Path(os.environ.get("GUEST", ".cache/guest"))
TEST_GUEST = pathlib.Path(os.environ.get("TEST_GUEST", ".cache/test-guest"))
ENGINE = os.environ.get("TOUKA_ENGINE", "auto")
SKIPPED = 77


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def check(holds, what, detail=""):
    """One expectation: said aloud, and the end of the scenario when it fails."""
    print(f"{'ok    ' if holds else 'FAILED'} {what}", flush=True)
    if not holds:
        print(detail, flush=True)
        sys.exit(1)


def check_iperf(output):
    """Both ways of iperf3 moved something; the guest's script marked their lines with SENT and RECEIVED."""
    for way in ("SENT", "RECEIVED"):
        rate = re.search(rf"^{way} .*?([\d.]+) Mbits/sec", output, re.MULTILINE)
        check(rate is not None and float(rate.group(1)) > 0, f"iperf3 {way.lower()}: {rate and rate.group(1)} Mbit/s",
              output)


def copy_of_root(folder):
    """@return a disk in `folder` with the guest's Debian, to be written to."""
    disk = pathlib.Path(folder) / "root.raw"
    subprocess.run(["cp", "--sparse=always", GUEST / "disk.raw", disk], check=True)
    return disk


def newc_entry(name, mode, data):
    """A file in the initramfs' own archive format (kernel Documentation/driver-api/early-userspace/buffer-format)."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    entry = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    entry += b"\0" * (-len(entry) % 4)
    return entry + data + b"\0" * (-len(data) % 4)


class Machine:
    """A running `touka run` whose console is collected line by line."""

    def __init__(self, script, *arguments, root=True, command_line="", program_prefix=(), more=()):
        """@param more initramfs archives of the test guest that belong to this test alone."""
        self.folder = tempfile.TemporaryDirectory(prefix="touka-test-")
        initrd = pathlib.Path(self.folder.name) / "initrd"
        archive = newc_entry("script", 0o100755, script.encode()) + newc_entry("TRAILER!!!", 0, b"")
        parts = [(TEST_GUEST / name).read_bytes() for name in ("initrd.cpio", *more)]
        initrd.write_bytes(b"".join(parts) + archive)
        command = [*program_prefix, TOUKA, "run", "--engine", ENGINE, "--kernel", str(TEST_GUEST / "vmlinuz"),
                   "--initrd", str(initrd), "--append", f"console=ttyS0 quiet panic=-1 {command_line}"]
        if root:
            command += ["--disk", f"{GUEST / 'disk.raw'},ro"]
        self.lines = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.decode("latin1").rstrip("\r\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def wait_for(self, text, timeout_s=300):
        """The first line that holds `text`; the end of the scenario when it does not come."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while True:
                for line in self.lines:
                    if line is not None and text in line:
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or None in self.lines:
                    break
                self.changed.wait(left)
        self.kill()
        check(False, f"the guest says {text!r} within {timeout_s} s", self.output())

    def enter(self, line):
        """Types a line on the console."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def finish(self, timeout_s=300):
        """Waits for the machine to power off. @return its exit status."""
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            check(False, f"the machine ends within {timeout_s} s", self.output())
        self.reader.join()
        self.folder.cleanup()
        return status

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def output(self):
        with self.changed:
            return "\n".join(line for line in self.lines if line is not None)


def run(script, *arguments, timeout_s=300, **options):
    """@return (exit status, console output) of a machine that runs `script` to its end."""
    machine = Machine(script, *arguments, **options)
    status = machine.finish(timeout_s)
    return status, machine.output()
