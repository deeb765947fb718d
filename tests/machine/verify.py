"""`touka verify` finds no difference between a unit outside and in a guest, by iSCSI and by vhost-user (rule T6)."""
import base64
import gzip
import pathlib
import subprocess
import tempfile

from guest import TOUKA, check, run
from target import NAME, Target, empty_disk

PROBE = pathlib.Path(TOUKA).parent / "touka-probe"
CORPORA = pathlib.Path("src/scsi/verify/corpus")
KINDS = ("disk", "tape")
UNITS = """
[[unit]]
name = "disk"
type = "disk"
path = "disk.raw"
[[unit]]
name = "tape"
type = "tape"
cartridge = "tape.tap"
"""
VHOST = """
[[target]]
name = "iqn.2026-01.example:vhost"
[[target.lun]]
number = 0
unit = "disk"
[[target.lun]]
number = 1
unit = "tape"
[[vhost-user]]
socket = "{folder}/vhost.sock"
target = "iqn.2026-01.example:vhost"
wwpn = "50:01:43:80:00:00:00:01"
"""
SCRIPT = """#root
modprobe -a virtio_scsi sd_mod sg
for i in $(seq 100); do [ -e /dev/sg1 ] && break; sleep 0.1; done
unpack() {{ base64 -d | gunzip >/tmp/$1; }}
unpack touka-probe <<'END'
{probe}
END
unpack disk <<'END'
{disk}
END
unpack tape <<'END'
{tape}
END
chmod +x /tmp/touka-probe
for unit in /sys/class/scsi_generic/*; do
    case $(cat $unit/device/type) in 0) kind=disk ;; 1) kind=tape ;; esac
    echo "PROBING $kind"
    /tmp/touka-probe /dev/${{unit##*/}} </tmp/$kind && echo "PROBED $kind"
done
"""


def packed(data):
    return base64.encodebytes(gzip.compress(data)).decode().rstrip()


def stripped_probe(folder):
    subprocess.run(["strip", "-o", f"{folder}/touka-probe", str(PROBE)], check=True)
    return pathlib.Path(folder, "touka-probe").read_bytes()


def responses(output, kind):
    """What the probe printed, without whatever else is on the console."""
    part = output.split(f"PROBING {kind}")[1].split("PROBED")[0]
    return "".join(line + "\n" for line in part.splitlines()
                   if line.startswith(("touka-responses ", "attention ")) or line.split(" ")[0].isdigit())


def compare(folder, target, way, arguments):
    corpora = {kind: packed((CORPORA / f"{kind}.txt").read_bytes()) for kind in KINDS}
    script = SCRIPT.format(probe=packed(stripped_probe(folder)), **corpora)
    status, output = run(script, *arguments, timeout_s=600)
    probed = all(f"PROBED {kind}" in output for kind in KINDS)
    check(status == 0 and probed, f"{way}: the guest has sent the corpora", output)
    for lun, kind in enumerate(KINDS):
        inside = pathlib.Path(folder, "inside.txt")
        inside.write_text(responses(output, kind))
        verify = subprocess.run([TOUKA, "verify", target.url(lun), "--corpus", str(CORPORA / f"{kind}.txt"),
                                 "--inside", str(inside)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        check(verify.returncode == 0, f"{way}, {kind}: {verify.stdout.splitlines()[-1]}", verify.stdout)


def main():
    with tempfile.TemporaryDirectory(prefix="touka-verify-") as folder:
        empty_disk(f"{folder}/disk.raw", 64 << 20)
        with Target(folder, UNITS, KINDS, VHOST.format(folder=folder)) as target:
            units = [word for lun in range(len(KINDS)) for word in ("--scsi", f"iscsi:{target.address},{NAME},{lun}")]
            compare(folder, target, "iSCSI", units)
            compare(folder, target, "vhost-user", ["--scsi", f"vhost-user:{folder}/vhost.sock"])


if __name__ == "__main__":
    main()
