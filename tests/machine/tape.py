"""A tape library in a guest with Linux' own drivers: mtx moves cartridges, mt positions, tar goes on from one cartridge
to the next, and what is on a cartridge is read from outside by somebody else's format description."""
import hashlib
import io
import tarfile
import tempfile

import simh
from guest import check, run
from target import NAME, Target

UNITS = """
[[unit]]
name = "drive0"
type = "tape"
[[unit]]
name = "drive1"
type = "tape"
[[unit]]
name = "library"
type = "changer"
slots = 4
import-export = 1
drives = ["drive0", "drive1"]
[[unit.cartridge]]
path = "one.tap"
barcode = "TOUKA1L8"
capacity = "12M"
early-warning = "1M"
slot = 0
[[unit.cartridge]]
path = "two.tap"
barcode = "TOUKA2L8"
capacity = "12M"
early-warning = "1M"
slot = 1
[[unit.cartridge]]
path = "three.tap"
barcode = "TOUKA3L8"
slot = 2
"""
SCRIPT = """#root
set -e
modprobe -a virtio_scsi st ch sg
library=/dev/sg0
step() { echo "STEP $*"; }

step inventory
[ -e /dev/sch0 ]
mtx -f $library status
mtx -f $library status | grep -q "Storage Element 3:Full :VolumeTag=TOUKA3L8"
step load
mtx -f $library load 3 0
mt -f /dev/nst0 status | grep -q ONLINE

step files
mkdir /tmp/in /tmp/out
for n in 1 2 3; do head -c $((n * 100000)) /dev/urandom >/tmp/in/$n; done
for n in 1 2 3; do dd if=/tmp/in/$n of=/dev/nst0 bs=10240 2>/dev/null; done
mt -f /dev/nst0 rewind
mt -f /dev/nst0 fsf 1
dd if=/dev/nst0 of=/tmp/out/2 bs=10240 2>/dev/null
cmp /tmp/in/2 /tmp/out/2
mt -f /dev/nst0 bsf 2
mt -f /dev/nst0 fsf 1
dd if=/dev/nst0 of=/tmp/out/2 bs=10240 2>/dev/null
cmp /tmp/in/2 /tmp/out/2
step positions
mt -f /dev/nst0 eod
end=$(mt -f /dev/nst0 tell | sed 's/[^0-9]*//g')
mt -f /dev/nst0 seek 11
dd if=/dev/nst0 of=/tmp/out/2 bs=10240 2>/dev/null
cmp /tmp/in/2 /tmp/out/2
mt -f /dev/nst0 eod
[ "$(mt -f /dev/nst0 tell | sed 's/[^0-9]*//g')" = "$end" ]
mt -f /dev/nst0 rewind
(cd /tmp/in && tar -cf /dev/nst0 -b 20 1 2 3)
mt -f /dev/nst0 rewind
sha256sum /tmp/in/1 /tmp/in/2 /tmp/in/3 | sed 's/^/HASH /'
step unload
mtx -f $library unload 3 0
mtx -f $library transfer 3 4
mtx -f $library status | grep -q "Storage Element 4:Full :VolumeTag=TOUKA3L8"

step two cartridges
cat >/tmp/next <<'END'
#!/bin/sh
# tar asks for the next volume: the cartridge of slot 1 goes back, that of slot 2 comes.
echo "STEP volume $TAR_VOLUME"
mtx -f /dev/sg0 unload 1 0 && mtx -f /dev/sg0 load 2 0
END
chmod +x /tmp/next
head -c 16000000 /dev/urandom >/tmp/big
mtx -f $library load 1 0
(cd /tmp && tar -cM -F /tmp/next -b 20 -f /dev/nst0 big)
mtx -f $library unload 2 0
mkdir /tmp/restored
mtx -f $library load 1 0
(cd /tmp/restored && tar -xM -F /tmp/next -b 20 -f /dev/nst0)
cmp /tmp/big /tmp/restored/big
mtx -f $library unload 2 0
step second drive
mtx -f $library load 4 1
mt -f /dev/nst1 status | grep -q ONLINE
mtx -f $library unload 4 1
step done
"""


def main():
    with tempfile.TemporaryDirectory(prefix="touka-tape-") as folder:
        with Target(folder, UNITS, ["library", "drive0", "drive1"]) as target:
            units = [argument for lun in range(3) for argument in ("--scsi", f"iscsi:{target.address},{NAME},{lun}")]
            status, output = run(SCRIPT, *units, "--memory", "512M", timeout_s=600)
            check(status == 0, "the guest powers off", output)
            check("STEP volume 2" in output, "tar asks for a second cartridge", output)
            check("STEP done" in output, "every step in the guest", output)
        tape = simh.files(f"{folder}/three.tap")
        check(len(tape) >= 1 and all(len(record) == 10240 for record in tape[0]), "blocks of 10240 bytes on the image")
        archive = tarfile.open(fileobj=io.BytesIO(b"".join(tape[0])))
        outside = {member.name: hashlib.sha256(archive.extractfile(member).read()).hexdigest()
                   for member in archive.getmembers()}
        inside = {line.split()[2].rsplit("/", 1)[1]: line.split()[1]
                  for line in output.splitlines() if line.startswith("HASH ")}
        check(outside == inside and len(inside) == 3, "an outside reader finds the guest's files",
              f"{outside} {inside}")


if __name__ == "__main__":
    main()
