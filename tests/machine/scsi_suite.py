"""A guest gets from a unit what an initiator outside gets: every verdict of iscsi-test-cu is the same (rules T1, T6).

The same unit directly over iSCSI, and inside a guest through the virtio adapter by each of its ways.
"""
import re
import tempfile

import iscsi_suite
from guest import check, run
from target import NAME, Target, empty_disk

# What the suite itself skips where it has no second iSCSI session, or no task management of iSCSI.
TWO_INITIATORS = re.compile(r"SCSI\.(PreventAllow|ProutPreempt|ProutReserve|Reserve6)\.")
UNIT = """
[[unit]]
name = "{name}"
type = "disk"
path = "{name}.raw"
removable = true
physical-block = 512
"""
SCRIPT = """#root
modprobe -a virtio_scsi sg
# Not through sd, which keeps the door of a removable disk locked while it is open.
for disk in {disks}; do
    [ -e /dev/sg$disk ] || {{ echo "no /dev/sg$disk"; exit 1; }}
done
for disk in {disks}; do
    for suite in {suites}; do
        echo "SUITE $disk $suite"
        # Outside each suite has a new session: nothing is left of the one before. Then what the reset has to tell.
        sg_reset --device /dev/sg$disk
        sg_turs --number=4 /dev/sg$disk >/dev/null 2>&1
        iscsi-test-cu -d -v -t $suite /dev/sg$disk 2>&1 </dev/null
    done
done
echo "SUITE end end"
"""


def in_guest(output):
    """@return the verdicts of each disk."""
    found = {}
    for part in output.split("SUITE ")[1:]:
        head, log = part.split("\n", 1)
        disk, suite = head.split()[:2]
        found.setdefault(disk, {}).update(iscsi_suite.verdicts(suite, "\n" + log))
    return found


def check_same(way, direct, inside):
    """The verdicts are the same outside and inside, but for tests that need two initiators."""
    differ = [f"{test}: {direct[test]} outside, {inside.get(test, 'not run')} inside" for test in sorted(direct)
              if inside.get(test) != direct[test]
              and not (inside.get(test) == "skip" and TWO_INITIATORS.match(test))]
    check(not differ, f"{way}: {iscsi_suite.count(inside)}, the same as directly", "\n".join(differ))


def main():
    names = [name for name in iscsi_suite.suites() if not iscsi_suite.ISCSI_ALONE.match(name + ".")]
    check(len(names) > 40, f"{len(names)} suites")
    with tempfile.TemporaryDirectory(prefix="touka-suite-") as folder:
        for name in ("direct", "remote", "shared", "local"):
            empty_disk(f"{folder}/{name}.raw", 256 << 20)
        units = "".join(UNIT.format(name=name) for name in ("direct", "remote", "shared"))
        vhost = f'[[vhost-user]]\nsocket = "{folder}/vhost.sock"\ntarget = "iqn.2026-01.example:vhost"\n' \
                'wwpn = "50:01:43:80:00:00:00:01"\n'
        more = f'[[target]]\nname = "iqn.2026-01.example:vhost"\n[[target.lun]]\nnumber = 0\nunit = "shared"\n{vhost}'
        with Target(folder, units, ["direct", "remote"], more) as target:
            direct = iscsi_suite.run(target.url(0), names)
            failed = sorted(test for test, verdict in direct.items() if verdict == "fail")
            check(not failed, f"directly: {iscsi_suite.count(direct)}", "\n".join(failed))
            status, output = run(SCRIPT.format(disks="0 1 2", suites=" ".join(names)),
                                 "--scsi", f"vhost-user:{folder}/vhost.sock",
                                 "--scsi", f"lu:{folder}/local.raw,removable,physical=512,state={folder}",
                                 "--scsi", f"iscsi:{target.address},{NAME},1",
                                 "--memory", "512M", timeout_s=900)
            check(status == 0, "the guest powers off", output)
            found = in_guest(output)
            for disk, way in (("0", "vhost-user"), ("1", "in process"), ("2", "iSCSI")):
                check_same(way, direct, found.get(disk, {}))


if __name__ == "__main__":
    main()
