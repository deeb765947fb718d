"""An outside host backs a guest's disk up without the guest's network: qemu-img's own iSCSI initiator reads the unit while
the guest's file system is frozen, and every file is there (rule T2)."""
import hashlib
import pathlib
import shutil
import subprocess
import tempfile

from guest import Machine, check, skip
from target import NAME, Target, empty_disk

UNIT = """
[[unit]]
name = "data"
type = "disk"
path = "data.raw"
"""
SCRIPT = """#root
set -e
modprobe -a virtio_scsi sd_mod
mkfs.ext4 -q /dev/sda
mkdir /tmp/data
mount /dev/sda /tmp/data
for n in 1 2 3 4 5; do head -c $((n * 300000)) /dev/urandom >/tmp/data/file$n; done
sha256sum /tmp/data/file* | sed 's/^/HASH /'
fsfreeze -f /tmp/data
echo FROZEN
sleep 25
fsfreeze -u /tmp/data
echo more >/tmp/data/after
umount /tmp/data
echo WENT-ON
"""


def main():
    if shutil.which("qemu-img") is None:
        skip("no qemu-img")
    with tempfile.TemporaryDirectory(prefix="touka-backup-") as folder:
        folder = pathlib.Path(folder)
        empty_disk(folder / "data.raw", 64 << 20)
        with Target(folder, UNIT, ["data"]) as target:
            machine = Machine(SCRIPT, "--scsi", f"iscsi:{target.address},{NAME},0", "--memory", "384M")
            machine.wait_for("FROZEN")
            backup = folder / "backup.raw"
            copied = subprocess.run(["qemu-img", "convert", "-O", "raw", target.url(0), str(backup)],
                                    capture_output=True, text=True, timeout=20)
            check(copied.returncode == 0, "qemu-img reads the unit over iSCSI", copied.stderr)
            same = subprocess.run(["cmp", str(backup), str(folder / "data.raw")], capture_output=True, text=True)
            check(same.returncode == 0, "the unit's file is the disk, byte for byte", same.stdout)
            check(machine.finish() == 0 and "WENT-ON" in machine.output(), "the guest goes on", machine.output())
        fsck = subprocess.run(["/sbin/e2fsck", "-fn", str(backup)], capture_output=True, text=True)
        check(fsck.returncode == 0, "e2fsck finds the backup sound", fsck.stdout + fsck.stderr)
        restored = folder / "restored"
        restored.mkdir()
        subprocess.run(["/sbin/debugfs", "-R", f"rdump / {restored}", str(backup)], capture_output=True, check=True)
        outside = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in restored.glob("file*")}
        inside = {line.split()[2].rsplit("/", 1)[1]: line.split()[1]
                  for line in machine.output().splitlines() if line.startswith("HASH ")}
        check(outside == inside and len(inside) == 5, "all five files are in the backup", f"{outside} {inside}")


if __name__ == "__main__":
    main()
