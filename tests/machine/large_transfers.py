"""A guest moves many MiB by one command, by each way to a unit, and nothing of the adapter is in the way: 16 MiB, which
is as much as units of this project take (MAXIMUM TRANSFER LENGTH), and 32 MiB of a target's that takes more."""
import hashlib
import re
import tempfile

import iscsi_suite
import tgt_server
from guest import check, run
from target import NAME, Target, empty_disk

DISK_BYTES = 256 << 20
UNIT = """
[[unit]]
name = "{name}"
type = "disk"
path = "{name}.raw"
"""
# The way of an SG_IO through the sg driver (Linux include/uapi/scsi/sg.h, version 3), whole or not at all.
SCRIPT = """#root
modprobe -a virtio_scsi sg
for disk in 0 1 2 3; do
    until [ -e /dev/sg$disk ]; do sleep 0.1; done
done
cat >/tmp/transfer.py <<'END'
import ctypes, fcntl, hashlib, os, random, struct, sys
OUT, IN = -2, -3
fields = [("interface", "i"), ("direction", "i"), ("cdb_bytes", "B"), ("sense_bytes", "B"), ("pieces", "H"),
          ("bytes", "I"), ("data", "P"), ("cdb", "P"), ("sense", "P"), ("timeout_ms", "I"), ("flags", "I"), ("id", "i"),
          ("user", "P"), ("status", "B"), ("masked", "B"), ("message", "B"), ("sense_length", "B"), ("host", "H"),
          ("driver", "H"), ("residual", "i"), ("duration", "I"), ("info", "I")]
kinds = dict(i=ctypes.c_int, B=ctypes.c_ubyte, H=ctypes.c_ushort, I=ctypes.c_uint, P=ctypes.c_void_p)
class Header(ctypes.Structure):
    _fields_ = [(name, kinds[kind]) for name, kind in fields]

def transfer(device, direction, buffer):
    cdb = struct.pack(">BBQIBB", 0x8A if direction == OUT else 0x88, 0, 0, len(buffer) // 512, 0, 0)
    sense = ctypes.create_string_buffer(64)
    header = Header(ord("S"), direction, len(cdb), len(sense), 0, len(buffer), ctypes.addressof(buffer),
                    ctypes.cast(cdb, ctypes.c_void_p).value, ctypes.addressof(sense), 60000)
    try:
        fcntl.ioctl(device, 0x2285, header)
    except OSError as error:
        return "refused by the kernel: " + error.strerror
    if header.status == 2 and sense.raw[2] & 15 == 6:
        return transfer(device, direction, buffer)
    return f"{header.status:02x} {header.host:02x} {sense.raw[2] & 15:x}/{sense.raw[12]:02x} {header.residual}"

device, size = os.open(sys.argv[1], os.O_RDWR), int(sys.argv[2]) << 20
data = random.randbytes(size)
out, back = ctypes.create_string_buffer(data, size), ctypes.create_string_buffer(size)
print("WROTE", transfer(device, OUT, out))
print("READ", transfer(device, IN, back))
print("DATA", hashlib.sha256(data).hexdigest())
print("BACK", hashlib.sha256(back).hexdigest())
END
echo "TRANSFER suite 0"
iscsi-test-cu -d -v -t SCSI.WriteSame16 /dev/sg3 2>&1 </dev/null
for disk in 0 1 2 3; do
    for size in 16 32; do
        [ $disk.$size = 3.16 ] && continue
        echo "TRANSFER $disk $size"
        python3 /tmp/transfer.py /dev/sg$disk $size
    done
done
echo "TRANSFER end 0"
"""
GOOD = "00 00 0/00 0"
INVALID_FIELD = "02 00 5/24"


def results(output):
    """@return {("0", 16): {"WROTE": ..., "READ": ..., "DATA": ..., "BACK": ...}}, and the suite's log."""
    found = {}
    for part in output.split("TRANSFER ")[1:]:
        head, body = part.split("\n", 1)
        disk, size = head.split()[:2]
        found[disk, int(size)] = dict(re.findall(r"^(WROTE|READ|DATA|BACK) (.*?)\r?$", body, re.MULTILINE)) \
            if disk.isdigit() else body
    return found


def check_moved(way, size, result, path):
    check(result.get("WROTE") == GOOD and result.get("READ") == GOOD, f"{way}: {size} MiB in one command", str(result))
    with open(path, "rb") as file:
        medium = hashlib.sha256(file.read(size << 20)).hexdigest()
    check(result["DATA"] == medium == result["BACK"], f"{way}: they are on the medium and come back", str(result))


def main():
    with tempfile.TemporaryDirectory(prefix="touka-large-") as folder, \
            tgt_server.TgtServer(folder, DISK_BYTES) as foreign:
        for name in ("remote", "shared", "local"):
            empty_disk(f"{folder}/{name}.raw", DISK_BYTES)
        direct = iscsi_suite.run(foreign.url(), ["SCSI.WriteSame16"])
        units = "".join(UNIT.format(name=name) for name in ("remote", "shared"))
        vhost = f'[[vhost-user]]\nsocket = "{folder}/vhost.sock"\ntarget = "iqn.2026-01.example:vhost"\n' \
                'wwpn = "50:01:43:80:00:00:00:01"\n'
        more = f'[[target]]\nname = "iqn.2026-01.example:vhost"\n[[target.lun]]\nnumber = 0\nunit = "shared"\n{vhost}'
        with Target(folder, units, ["remote"], more) as target:
            status, output = run(SCRIPT, "--scsi", f"vhost-user:{folder}/vhost.sock",
                                 "--scsi", f"lu:{folder}/local.raw,state={folder}",
                                 "--scsi", f"iscsi:{target.address},{NAME},0",
                                 "--scsi", f"iscsi:{foreign.address},{tgt_server.NAME},{tgt_server.LUN}",
                                 "--memory", "768M")
            check(status == 0, "the guest powers off", output)
        found = results(output)
        for disk, name, way in (("0", "shared", "vhost-user"), ("1", "local", "in process"), ("2", "remote", "iSCSI")):
            check_moved(way, 16, found.get((disk, 16), {}), f"{folder}/{name}.raw")
            refused = found.get((disk, 32), {}).get("WROTE", "")
            check(refused.startswith(INVALID_FIELD), f"{way}: 32 MiB are refused by the unit, not on the way", refused)
        check_moved("tgtd", 32, found.get(("3", 32), {}), foreign.disk)
        inside = iscsi_suite.verdicts("SCSI.WriteSame16", "\n" + found.get(("suite", 0), ""))
        check(inside == direct and direct.get("SCSI.WriteSame16.Unmap") == "pass",
              f"WRITE SAME (16) of tgtd's, with 32 MiB of data-out: {iscsi_suite.count(inside)}, the same as directly",
              f"{direct} directly, {inside} inside")


if __name__ == "__main__":
    main()
