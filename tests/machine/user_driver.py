"""vfio-pci within a guest, on Touka's IOMMU: a driver in user space brings a controller up with memory that it mapped for
it, and what it did not map is out of the device's reach: the command fails, and the guest's kernel hears of the fault,
of its requester and its address (T5)."""
import re
import tempfile

from guest import check, run

# A driver of the admin queue alone. (NVM Express Base 2.0 §3.5.1; Linux include/uapi/linux/vfio.h)
DRIVER = r"""
import ctypes, fcntl, mmap, os, struct, sys, time
def request(number): return 0x3B64 + number
group, address = sys.argv[1], sys.argv[2].encode() + b"\0"
container = os.open("/dev/vfio/vfio", os.O_RDWR)
handle = os.open("/dev/vfio/" + group, os.O_RDWR)
fcntl.ioctl(handle, request(4), struct.pack("i", container))
fcntl.ioctl(container, request(2), 1)  # type 1
device = fcntl.ioctl(handle, request(6), bytearray(address))
regions = {}
for index in (0, 7):
    info = bytearray(struct.pack("IIIIQQ", 32, 0, index, 0, 0, 0))
    fcntl.ioctl(device, request(8), info)
    regions[index] = struct.unpack("IIIIQQ", info)[5]
def load(offset, form="I"): return struct.unpack(form, os.pread(device, struct.calcsize(form), regions[0] + offset))[0]
def store(offset, value, form="I"): os.pwrite(device, struct.pack(form, value), regions[0] + offset)
IOVA, UNMAPPED = 0x100000, 0x900000
memory = mmap.mmap(-1, 65536)
place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
fcntl.ioctl(container, request(13), struct.pack("IIQQQ", 32, 3, place, IOVA, 65536))
os.pwrite(device, struct.pack("H", 6), regions[7] + 4)  # memory space, bus master
store(0x14, 0)
store(0x24, 0x000F000F)
store(0x28, IOVA, "Q")
store(0x30, IOVA + 4096, "Q")
store(0x14, 0x00460001)
while not load(0x1C) & 1: time.sleep(0.01)
print("READY")
tail = 0
def identify(target):
    global tail
    command = struct.pack("<IIQQQQIIIIII", 6 | (tail + 1) << 16, 0, 0, 0, target, 0, 1, 0, 0, 0, 0, 0)
    memory[tail * 64:tail * 64 + 64] = command
    tail += 1
    store(0x1000, tail)
    for _ in range(500):
        entry = struct.unpack_from("<IIHHHH", memory, 4096 + (tail - 1) * 16)
        if entry[5] & 1: return entry[5] >> 1
        time.sleep(0.01)
    return "no answer"
print("IDENTIFY", identify(IOVA + 8192), memory[8192 + 4:8192 + 24].decode().strip())
print("OUTSIDE", identify(UNMAPPED))
fcntl.ioctl(container, request(14), struct.pack("IIQQ", 24, 0, IOVA + 0, 65536))
store(0x1000, tail + 1)  # the queue itself is gone now
time.sleep(0.5)
print("REVOKED", load(0x1C) >> 1 & 1)
"""


def give_to_user(address):
    """@return shell: the function is vfio-pci's, $f its folder, and the driver is there."""
    return f"""
modprobe vfio-pci
f=/sys/bus/pci/devices/{address}
echo {address} >$f/driver/unbind
echo vfio-pci >$f/driver_override
echo {address} >/sys/bus/pci/drivers_probe
cat >/tmp/driver.py <<'EOF'
{DRIVER}
EOF
"""


def drive_by_user(address):
    """@return shell: the driver in user space drives what was given to it."""
    return f"python3 /tmp/driver.py $(basename $(readlink $f/iommu_group)) {address}"


SCRIPT = "#root" + give_to_user("0000:01:00.0") + drive_by_user("0000:01:00.0") + """
dmesg | grep -E "DMAR.*fault|DMAR.*01:00.0" | sed 's/^/KERNEL /'
dd if=/dev/nvme1n1 of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null && echo "THE OTHER READS"
"""


def drive(folder, ats):
    arguments = []
    for name in ("first", "second"):
        path = f"{folder}/{name}.raw"
        with open(path, "wb") as file:
            file.truncate(16 << 20)
        arguments += ["--device", f"nvme:{path},serial={name.upper()},ats={ats}"]
    status, output = run(SCRIPT, *arguments, "--iommu", "--memory", "512M", command_line="intel_iommu=on")
    check(status == 0, "the guest powers off", output)
    check("READY" in output, "a driver in user space brings the controller up", output)
    check("IDENTIFY 0 FIRST" in output, "its commands reach memory that it mapped", output)
    outside = re.search(r"OUTSIDE (\d+)", output)
    check(outside is not None and int(outside[1]) & 0x7FF == 0x04, "what it did not map: Data Transfer Error", output)
    check(re.search(r"KERNEL .*01:00\.0.*fault addr 0x900000", output) is not None,
          "the fault names requester and address", output)
    check("REVOKED 1" in output, "memory that was taken away is out of reach at once", output)
    check("THE OTHER READS" in output, "the other card is not disturbed", output)


def main():
    with tempfile.TemporaryDirectory(prefix="touka-vfio-") as folder:
        for ats in ("off", "on"):
            print(f"translations kept by the function itself: {ats}")
            drive(folder, ats)


if __name__ == "__main__":
    main()
