"""Debian's tgtd on loopback: a target that somebody else wrote, with one thin disk as LUN 1."""
import os
import pathlib
import shutil
import socket
import subprocess
import time

from guest import check, skip
from target import empty_disk

NAME = "iqn.2026-01.example:disk"
LUN = 1


class TgtServer:
    def __init__(self, folder, size_bytes):
        if shutil.which("tgtd") is None or os.geteuid() != 0:
            skip("no tgtd, or nobody who may start it")
        folder = pathlib.Path(folder)
        self.disk = folder / "tgt.raw"
        empty_disk(self.disk, size_bytes)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.environment = {**os.environ, "TGT_IPC_SOCKET": str(folder / "tgt.sock")}
        self.log = open(folder / "tgt.log", "wb")
        self.process = subprocess.Popen(["tgtd", "-f", "--control-port", "0", "--iscsi", f"portal={self.address}"],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env=self.environment)
        up = False
        for _ in range(100):
            up = self._admin("--mode", "target", "--op", "new", "--tid", "1", "-T", NAME)
            if up:
                break
            time.sleep(0.1)
        unit = ("--mode", "logicalunit", "--tid", "1", "--lun", str(LUN))
        up = up and self._admin(*unit, "--op", "new", "-b", str(self.disk))
        up = up and self._admin(*unit, "--op", "update", "--params", "thin_provisioning=1")
        up = up and self._admin("--mode", "target", "--op", "bind", "--tid", "1", "-I", "ALL")
        check(up, "tgtd is up", (folder / "tgt.log").read_text(errors="replace"))

    def _admin(self, *arguments):
        return subprocess.run(["tgtadm", "--lld", "iscsi", *arguments], env=self.environment,
                              capture_output=True).returncode == 0

    def url(self):
        return f"iscsi://{self.address}/{NAME}/{LUN}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()  # SIGTERM it ignores while it has targets
        self.process.wait()
        self.log.close()
