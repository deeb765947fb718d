"""No acknowledged transaction is lost (T3): SQLite in a guest commits with synchronous=EXTRA while the target, and at the
end the machine itself, are killed at random moments.

Usage: durable_commits.py [KILLS [SEED]]: 4 kills of each in CI.
"""
import random
import re
import sys
import tempfile
import time

from guest import Machine, check, run
from target import NAME, Target, empty_disk

UNIT = """
[[unit]]
name = "db"
type = "disk"
path = "db.raw"
"""
COMMIT = """#root
modprobe -a virtio_scsi sd_mod
mkdir -p /tmp/db
if ! mount -t ext4 /dev/sda /tmp/db; then mkfs.ext4 -q /dev/sda; mount -t ext4 /dev/sda /tmp/db; fi
cat >/tmp/loop <<'END'
n=$(sqlite3 /tmp/db/d 'create table if not exists t(n integer primary key, x); select coalesce(max(n), 0) from t')
echo "START $n"
while true; do
    n=$((n + 1))
    sqlite3 /tmp/db/d "pragma synchronous=extra; insert into t values($n, randomblob(2000))" || exit 1
    echo "COMMITTED $n"
done
END
sh /tmp/loop
"""
LOOK = """#root
modprobe -a virtio_scsi sd_mod
mkdir -p /tmp/db
mount -t ext4 /dev/sda /tmp/db
echo "CHECK $(sqlite3 /tmp/db/d 'pragma integrity_check')"
echo "FOUND $(sqlite3 /tmp/db/d 'select count(*), max(n) from t')"
umount /tmp/db
"""


def committed(machine):
    return max((int(n) for n in re.findall(r"^COMMITTED (\d+)$", machine.output(), re.MULTILINE)), default=0)


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    acknowledged = 0
    with tempfile.TemporaryDirectory(prefix="touka-commit-") as folder:
        empty_disk(f"{folder}/db.raw", 128 << 20)
        with Target(folder, UNIT, ["db"]) as target:
            unit = ("--scsi", f"iscsi:{target.address},{NAME},0", "--memory", "384M")
            for turn in range(kills):
                machine = Machine(COMMIT, *unit)
                machine.wait_for("START")
                before = committed(machine)
                time.sleep(moments.uniform(0.5, 3))
                target.kill()
                time.sleep(moments.uniform(0, 1))
                target.start()
                deadline = time.monotonic() + 60
                while committed(machine) < before + 20 and time.monotonic() < deadline:
                    time.sleep(0.1)
                time.sleep(moments.uniform(0, 2))
                machine.kill()
                machine.reader.join()
                acknowledged = max(acknowledged, committed(machine))
                check(committed(machine) > before, f"turn {turn + 1}: {acknowledged} commits, on after the target died",
                      machine.output())
            status, output = run(LOOK, *unit)
            check(status == 0 and "CHECK ok" in output, "the database is sound", output)
            found = re.search(r"FOUND (\d+)\|(\d+)", output)
            check(found is not None and int(found.group(2)) >= acknowledged and found.group(1) == found.group(2),
                  f"{acknowledged} acknowledged, {found and found.group(1)} found, none missing", output)


if __name__ == "__main__":
    main()
