"""kill -9 of touka during synchronous writes: every write that the guest was told is stable is there (rule T3)."""
import pathlib
import re
import tempfile
import time

from guest import Machine, check

BLOCK = 4096
# Writes block n full of the number n, O_DIRECT and O_DSYNC, and says so only after the write returned.
SCRIPT = """#root
set -e
n=1
while :; do
    printf '%08d' $n >/tmp/number
    i=0; : >/tmp/block
    while [ $i -lt 6 ]; do cat /tmp/number >>/tmp/block; i=$((i+1)); done
    dd if=/tmp/block of=/dev/vdb bs=4096 seek=$n conv=notrunc,sync oflag=direct,dsync 2>/dev/null
    echo "STABLE $n"
    n=$((n+1))
done
"""


def main():
    with tempfile.TemporaryDirectory(prefix="touka-disk-") as folder:
        disk = pathlib.Path(folder) / "data.raw"
        with open(disk, "wb") as file:
            file.truncate(64 << 20)
        machine = Machine(SCRIPT, "--disk", str(disk), "--memory", "256M")
        machine.wait_for("STABLE 20")
        time.sleep(0.37)  # somewhere in the middle of a write
        machine.kill()
        machine.reader.join()
        told = max(int(number) for number in re.findall(r"^STABLE (\d+)$", machine.output(), re.MULTILINE))
        content = disk.read_bytes()
        missing = [n for n in range(1, told + 1)
                   if content[n * BLOCK:n * BLOCK + 48] != (b"%08d" % n) * 6]
        check(told >= 20, "the guest wrote for a while", machine.output())
        check(not missing, f"all {told} writes that the guest was told are stable are on the disk", str(missing))


if __name__ == "__main__":
    main()
