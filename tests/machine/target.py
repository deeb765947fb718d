"""A touka-target for a scenario: its configuration in a folder, its portals on loopback."""
import os
import pathlib
import re
import subprocess
import time

from guest import TOUKA, check

TOUKA_TARGET = str(pathlib.Path(TOUKA).parent / "touka-target")
NAME = "iqn.2026-01.example:units"


class Target:
    """Runs while the object is open; `restart` after `kill` finds the same units and, where it can, the same portal."""

    def __init__(self, folder, units, luns, more=""):
        """@param units TOML of the units.  @param luns their names, LUN 0, 1, ..."""
        self.folder = pathlib.Path(folder)
        self.text = f'state = "{folder}"\ncontrol = "{folder}/control.sock"\n{units}\n[[target]]\nname = "{NAME}"\n'
        for number, unit in enumerate(luns):
            self.text += f'[[target.lun]]\nnumber = {number}\nunit = "{unit}"\n'
        self.more = more
        self.address = "127.0.0.1:0"
        self.start()

    def start(self):
        path = self.folder / "target.toml"
        path.write_text(f'{self.text}{self.more}\n[[portal]]\naddress = "{self.address}"\n')
        log = self.folder / "target.log"
        with open(log, "wb") as output:
            self.process = subprocess.Popen([TOUKA_TARGET, str(path)], stdout=output, stderr=output)
        deadline = time.monotonic() + 60
        while not (listening := re.search(r"listening on (\S+)", log.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                check(False, "touka-target listens", log.read_text())
            time.sleep(0.05)
        self.address = listening.group(1)

    def url(self, lun):
        return f"iscsi://{self.address}/{NAME}/{lun}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.terminate()
        check(self.process.wait(60) == 0, "touka-target ends in order", (self.folder / "target.log").read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.close()


def empty_disk(path, size_bytes):
    with open(path, "wb") as file:
        file.truncate(size_bytes)
    os.sync()
