"""The unmodified Debian: systemd, a login on ttyS0, an address by DHCP, poweroff with exit status 0."""
import os
import pty
import select
import subprocess
import sys
import tempfile
import time

from guest import ENGINE, GUEST, TOUKA, check, copy_of_root


class Terminal:
    """A program on a pseudo-terminal, as a person has it."""

    def __init__(self, command):
        self.screen, other = pty.openpty()
        self.process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, start_new_session=True)
        os.close(other)
        self.text = ""

    def expect(self, words, timeout_s):
        deadline = time.monotonic() + timeout_s
        start = len(self.text)
        while words not in self.text[start:]:
            ready, _, _ = select.select([self.screen], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self.process.kill()
                check(False, f"the console shows {words!r} within {timeout_s} s", self.text[-3000:])
            try:
                data = os.read(self.screen, 4096)
            except OSError:
                check(False, f"the console shows {words!r} before the machine ends", self.text[-3000:])
            self.text += data.decode("latin1")
        print(f"ok     the console shows {words!r}", flush=True)

    def send(self, line):
        os.write(self.screen, line.encode() + b"\r")

    def finish(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < deadline:
            ready, _, _ = select.select([self.screen], [], [], 0.5)
            if ready:
                try:
                    self.text += os.read(self.screen, 4096).decode("latin1")
                except OSError:
                    pass
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait()


def main():
    with tempfile.TemporaryDirectory(prefix="touka-disk-") as folder:
        disk = copy_of_root(folder)
        terminal = Terminal([TOUKA, "run", "--engine", ENGINE, "--kernel", GUEST / "vmlinuz", "--initrd",
                             GUEST / "initrd.img", "--append", (GUEST / "cmdline").read_text().strip(), "--disk", disk,
                             "--net", "user", "--memory", "1G"])
        terminal.expect("login:", 600)
        terminal.send("root")
        terminal.expect("~#", 120)
        terminal.send("networkctl status --no-pager | grep -o 'Address: 10.0.2.[0-9]*'")
        terminal.expect("Address: 10.0.2.15", 120)
        terminal.send("poweroff")
        status = terminal.finish(300)
        check(status == 0, "poweroff ends touka with exit status 0", f"status {status}\n{terminal.text[-3000:]}")
        fsck = subprocess.run(["/sbin/e2fsck", "-fn", disk], capture_output=True, text=True)
        check(fsck.returncode == 0, "e2fsck -fn of the root disk: clean", fsck.stdout)


if __name__ == "__main__":
    sys.exit(main())
