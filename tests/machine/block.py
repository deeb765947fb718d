"""What a guest wrote to its disk is on the disk: fio verifies in the guest, e2fsck from outside (rules T2, T3)."""
import os
import pathlib
import subprocess
import tempfile

from guest import check, run

SCRIPT = """#root
set -e
mkfs.ext4 -q /dev/vdb
mkdir /tmp/data
mount /dev/vdb /tmp/data
fio --name=verify --directory=/tmp/data --size=16m --rw=randwrite --bsrange=512-64k --ioengine=libaio --iodepth=8 \\
    --direct=1 --verify=crc32c --do_verify=1 --fsync=64 --end_fsync=1 --minimal >/tmp/fio.log 2>&1 || cat /tmp/fio.log
echo FIO $?
sha256sum /tmp/data/verify.0.0 | sed 's/^/HASH /'
umount /tmp/data
"""


def main():
    with tempfile.TemporaryDirectory(prefix="touka-disk-") as folder:
        disk = pathlib.Path(folder) / "data.raw"
        with open(disk, "wb") as file:
            file.truncate(64 << 20)
        status, output = run(SCRIPT, "--disk", str(disk), "--cpus", "2", "--memory", "512M")
        check(status == 0, "the guest powers off", output)
        check("FIO 0" in output, "fio --verify finds what it wrote", output)
        fsck = subprocess.run(["/sbin/e2fsck", "-fn", str(disk)], capture_output=True, text=True)
        check(fsck.returncode == 0, "e2fsck -fn from outside: clean", fsck.stdout + fsck.stderr)
        in_guest = next(line.split()[1] for line in output.splitlines() if line.startswith("HASH "))
        dumped = pathlib.Path(folder) / "verify"
        subprocess.run(["/sbin/debugfs", "-R", f"dump /verify.0.0 {dumped}", str(disk)], capture_output=True,
                       check=True)
        outside = subprocess.run(["sha256sum", str(dumped)], capture_output=True, text=True, check=True).stdout
        check(outside.split()[0] == in_guest, "an outside reader sees the guest's file", f"{outside} {in_guest}")


if __name__ == "__main__":
    os.environ.setdefault("PATH", "/usr/bin:/bin")
    main()
