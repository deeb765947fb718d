"""A running touka-device with one NVMe device, whose functions are at sockets of its folder."""
import json
import os
import pathlib
import signal
import socket
import subprocess

from guest import check

DEVICE = pathlib.Path(os.environ.get("TOUKA", "build/release/bin/touka")).with_name("touka-device")


def ask(path, **question):
    """Asks a touka-device at its control socket."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(path)
        control.sendall(json.dumps(question).encode() + b"\n")
        return json.loads(control.makefile().readline())


class Device:
    """The device is called "fast"; function NAME is at NAME.sock."""

    def __init__(self, folder, functions, size_bytes, serial=None, poll=False):
        self.folder = pathlib.Path(folder)
        self.functions = functions
        with open(self.folder / "device.raw", "wb") as file:
            file.truncate(size_bytes)
        sockets = "".join(f'[[device.function]]\nsocket = "{name}.sock"\n' for name in functions)
        (self.folder / "device.toml").write_text(
            f'control = "device-control.sock"\npoll = {str(poll).lower()}\n[[device]]\nname = "fast"\ntype = "nvme"\n'
            + (f'serial = "{serial}"\n' if serial else "") +
            f'[[device.namespace]]\npath = "device.raw"\n{sockets}')
        self.start()

    def start(self):
        self.process = subprocess.Popen([DEVICE, self.folder / "device.toml"], stderr=subprocess.PIPE, text=True)
        for _ in self.functions:
            line = self.process.stderr.readline()
            check("touka-device: fast." in line, f"touka-device: {line.strip()}", line)

    def socket(self, name):
        return str(self.folder / f"{name}.sock")

    def ask(self, **question):
        return ask(self.socket("device-control"), **question)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(20)
        self.process.stderr.close()
