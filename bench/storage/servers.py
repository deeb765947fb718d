"""The programs that are measured: each serves one file, in the foreground, on one processor."""
import os
import pathlib
import shutil
import socket
import subprocess
import time

START_S = 10  # after which a server is taken not to come up
TARGET = "iqn.2026-01.com.example:bench"
TGTD, TGTADM, QEMU = "/usr/sbin/tgtd", "/usr/sbin/tgtadm", "qemu-storage-daemon"


class Failed(Exception):
    """A server did not come up."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process with a log; what it is told to do comes from its subclass."""

    def __init__(self, folder, name, pinned, command, environment=None):
        self.name = name
        self.log = pathlib.Path(folder, f"{name}.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*pinned, *map(str, command)], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})})

    def wait_until(self, is_up):
        until = time.monotonic() + START_S
        while not is_up():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                said = self.log.read_text().strip()[-500:]
                raise Failed(f"{self.name} did not come up; it said: {said or 'nothing'}")
            time.sleep(0.05)

    def stop(self):
        self.process.kill()  # tgtd ignores SIGTERM while it has targets; nothing here is to be kept
        self.process.wait()


class Touka(Server):
    """touka-target: one disk over iSCSI, and over vhost-user as a virtio-scsi adapter's target 0."""

    def __init__(self, program, folder, file, pinned):
        port = free_port()
        self.url = f"iscsi://127.0.0.1:{port}/{TARGET}/0"
        self.socket = pathlib.Path(folder, "touka.sock")
        configuration = pathlib.Path(folder, "target.toml")
        pathlib.Path(folder, "state").mkdir()
        configuration.write_text(f"""state = "state"
control = "control.sock"
[[unit]]
name = "disk"
type = "disk"
path = "{file}"
[[target]]
name = "{TARGET}"
[[target.lun]]
number = 0
unit = "disk"
[[portal]]
address = "127.0.0.1:{port}"
[[vhost-user]]
socket = "{self.socket}"
target = "{TARGET}"
wwpn = "5001438012345678"
""")
        super().__init__(folder, "touka-target", pinned, [program, configuration])
        self.wait_until(lambda: "listening" in self.log.read_text())


class Device(Server):
    """touka-device: one NVMe function, read-only, whose doorbells are polled: it keeps its processor busy."""

    def __init__(self, program, folder, file, pinned):
        self.socket = pathlib.Path(folder, "nvme.sock")
        configuration = pathlib.Path(folder, "device.toml")
        configuration.write_text(f"""control = "device-control.sock"
poll = true
[[device]]
name = "bench"
type = "nvme"
[[device.namespace]]
path = "{file}"
read-only = true
[[device.function]]
socket = "{self.socket}"
""")
        super().__init__(folder, "touka-device", pinned, [program, configuration])
        self.wait_until(self.socket.exists)


class Tgt(Server):
    """Debian's tgtd: the file once for each of its ways to read it, as LUN 1 and on. `luns`: way -> LUN."""

    def __init__(self, folder, file, pinned):
        self.environment = {"TGT_IPC_SOCKET": str(pathlib.Path(folder, "tgt.sock"))}
        port = free_port()
        super().__init__(folder, "tgtd", pinned, [TGTD, "-f", "--control-port", "0", "--iscsi",
                                                  f"portal=127.0.0.1:{port}"], self.environment)
        self.url = f"iscsi://127.0.0.1:{port}/{TARGET}"
        self.wait_until(lambda: self.admin("target", "new", "--targetname", TARGET))
        self.luns = {way: lun for lun, way in enumerate(("rdwr", "aio"), 1) if self.admin(
            "logicalunit", "new", "--lun", str(lun), "--backing-store", str(file), "--bstype", way)}
        if not self.luns or not self.admin("target", "bind", "--initiator-address", "ALL"):
            self.stop()
            raise Failed("tgtd does not serve the file")

    def admin(self, mode, operation, *options):
        return subprocess.run([TGTADM, "--lld", "iscsi", "--mode", mode, "--op", operation, "--tid", "1", *options],
                              capture_output=True, env={**os.environ, **self.environment}).returncode == 0

    @staticmethod
    def lacking():
        """@return why it cannot run here, None if it can."""
        if not os.access(TGTD, os.X_OK):
            return "no tgtd here"
        return None if os.geteuid() == 0 else "tgtd has to be started by root"


class Qemu(Server):
    """qemu-storage-daemon: the file as a vhost-user-blk device, by io_uring if it can, else by its threads."""

    def __init__(self, folder, file, pinned):
        self.socket = pathlib.Path(folder, "qemu.sock")
        for self.way in ("io_uring", "threads"):
            super().__init__(folder, f"qemu-{self.way}", pinned, [
                QEMU, "--blockdev",  # touka-target has the file's lock
                f"driver=file,node-name=disk,filename={file},aio={self.way},read-only=on,locking=off",
                "--export", f"type=vhost-user-blk,id=disk,node-name=disk,addr.type=unix,addr.path={self.socket}"])
            try:
                return self.wait_until(self.socket.exists)
            except Failed:
                if self.way == "threads":
                    raise

    @staticmethod
    def lacking():
        return None if shutil.which(QEMU) else f"no {QEMU} here"
