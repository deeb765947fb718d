"""Identify data and log pages of a touka-device's functions, byte by byte the same inside and outside: nvme-cli in a guest
reads them, and after it a vfio-user client without a guest. What the guest does meanwhile changes counters alone."""
import base64
import gzip
import tempfile

from guest import check, run
from served_device import Device
from vfio_user import Function

FUNCTIONS = ("pf", "vf")
# Name, log page, length; the errors last, because what came before may be one.
LOGS = (("supported log pages", 0, 1024), ("health", 2, 512), ("firmware slots", 3, 512), ("changed namespaces", 4, 4096),
        ("commands and effects", 5, 4096), ("reservations", 0x80, 64), ("errors", 1, 4096))
# What may differ: first byte, last byte, why. (NVM Express Base 2.0 figure 207; NVM Command Set 1.0 figure 97)
COUNTERS = {"health": (32, 191, "units, commands, power cycles, hours, shutdowns, errors so far"),
            "namespace": (16, 23, "NUSE: blocks that are in use")}
SCRIPT = """#root
export PATH=$PATH:/tmp/more/usr/sbin:/tmp/more/usr/bin LD_LIBRARY_PATH=/tmp/more/usr/lib/x86_64-linux-gnu
for n in 0 1; do
    for i in $(seq 100); do [ -b /dev/nvme${n}n1 ] && break; sleep 0.2; done
    page() { name=$1; shift; echo "PAGE $n $name $(nvme "$@" --raw-binary | gzip -9 | base64 -w0)"; }
    page controller id-ctrl /dev/nvme$n
    page namespace id-ns /dev/nvme$n --namespace-id=1
%s
done
""" % "\n".join(f"    page '{name.replace(' ', '-')}' get-log /dev/nvme$n --log-id={page} --log-len={length}"
                for name, page, length in LOGS)


def inside(folder):
    """@return the pages that nvme-cli printed, by function and name."""
    cards = [argument for name in FUNCTIONS for argument in ("--device", f"vfio-user:{folder}/{name}.sock")]
    status, output = run(SCRIPT, *cards, "--memory", "512M", command_line="nvme_core.multipath=0", more=("devices.cpio",))
    check(status == 0, "the guest powers off", output)
    pages = {}
    for line in output.splitlines():
        if line.startswith("PAGE "):
            _, number, name, data = line.split()
            pages[FUNCTIONS[int(number)], name.replace("-", " ")] = gzip.decompress(base64.b64decode(data))
    check(len(pages) == len(FUNCTIONS) * (2 + len(LOGS)), "nvme-cli reads all of them", output)
    return pages


def outside(folder):
    pages = {}
    for name in FUNCTIONS:
        function = Function(f"{folder}/{name}.sock")
        pages[name, "controller"] = function.identify(1)
        pages[name, "namespace"] = function.identify(0, nsid=1)
        for log, page, length in LOGS:
            pages[name, log] = function.log_page(page, length)
        function.close()
    return pages


def compare(guest, client):
    for key in sorted(client):
        within, without = guest[key], client[key]
        first, last, why = COUNTERS.get(key[1], (0, -1, ""))
        different = [i for i in range(len(without)) if within[i:i + 1] != without[i:i + 1] and not first <= i <= last]
        check(len(within) == len(without) and not different,
              f"{key[0]}: {key[1]}, {len(without)} bytes" + (f" but for {first} to {last} ({why})" if why else ""),
              f"{len(within)} bytes inside, {len(without)} outside; different at {different[:16]}")
    # Equal pages of nothing would say little.
    for name in FUNCTIONS:
        check(client[name, "controller"][4:24].strip() == b"S1" and any(client[name, "commands and effects"]),
              f"{name}: they have contents")
    ids = [int.from_bytes(client[name, "controller"][78:80], "little") for name in FUNCTIONS]
    check(ids == [0, 1], "each function is a controller of its own", str(ids))


def main():
    with tempfile.TemporaryDirectory(prefix="touka-identity-") as folder:
        device = Device(folder, FUNCTIONS, 16 << 20, serial="S1")
        try:
            pages = inside(folder)
            compare(pages, outside(folder))
        finally:
            device.stop()


if __name__ == "__main__":
    main()
