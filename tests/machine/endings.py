"""How a machine ends: triple fault, a disk in use, the power button by SIGTERM, a second SIGTERM."""
import fcntl
import pathlib
import signal
import struct
import subprocess
import tempfile
import time

from guest import ENGINE, GUEST, TEST_GUEST, TOUKA, Machine, check, copy_of_root


def elf_kernel(code):
    """A 64-bit ELF file whose one segment, `code`, is loaded and entered at 1 MiB. (System V ABI, ELF-64 headers)"""
    entry = 0x100000
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01" + bytes(9), 2, 62, 1, entry, 64, 0, 0, 64, 56, 1,
                         0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 120, entry, entry, len(code), len(code), 4096)
    return header + segment + code


def touka(*arguments, **options):
    return subprocess.run([TOUKA, "run", "--engine", ENGINE, *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120, **options)


def triple_fault(folder):
    kernel = folder / "crash"
    # lidt with limit 0 from the stack, then ud2: no handler for the exception nor for the double fault.
    kernel.write_bytes(elf_kernel(bytes.fromhex("6a00 6a00 0f011c24 0f0b")))
    result = touka("--kernel", str(kernel), "--memory", "64M")
    check(result.returncode == 5, "a triple fault ends with exit status 5", f"{result.returncode} {result.stderr}")
    check("rip" in result.stderr and "cr3" in result.stderr, "and prints the registers", result.stderr)
    check(result.stdout == "", "and nothing on stdout", result.stdout)


def disk_in_use(folder):
    disk = folder / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    with open(disk, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        result = touka("--kernel", str(TEST_GUEST / "vmlinuz"), "--disk", str(disk))
    check(result.returncode == 3 and "another program" in result.stderr, "a disk in use is refused", result.stderr)


def power_button(folder):
    disk = copy_of_root(folder)
    machine = subprocess.Popen([TOUKA, "run", "--engine", ENGINE, "--kernel", GUEST / "vmlinuz", "--initrd",
                                GUEST / "initrd.img", "--append", (GUEST / "cmdline").read_text().strip(),
                                "--disk", disk, "--memory", "512M"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = b""
    deadline = time.monotonic() + 600
    while b"login:" not in output and time.monotonic() < deadline:
        data = machine.stdout.read1(4096)
        if not data:
            break
        output += data
    check(b"login:" in output, "systemd comes up", output.decode("latin1")[-2000:])
    machine.send_signal(signal.SIGTERM)
    rest, _ = machine.communicate(timeout=300)
    check(machine.returncode == 0, "SIGTERM presses the power button, the guest powers off, exit status 0",
          (output + rest).decode("latin1")[-2000:])


def pulled_plug():
    machine = Machine("echo READY; while :; do sleep 1; done", "--memory", "256M", root=False)
    machine.wait_for("READY")
    machine.process.send_signal(signal.SIGTERM)
    machine.wait_for("power button")
    machine.process.send_signal(signal.SIGTERM)
    check(machine.finish(60) == 7, "a second SIGTERM stops a guest that does not react: exit status 7")


def main():
    with tempfile.TemporaryDirectory(prefix="touka-endings-") as folder:
        triple_fault(pathlib.Path(folder))
        disk_in_use(pathlib.Path(folder))
        power_button(pathlib.Path(folder))
    pulled_plug()


if __name__ == "__main__":
    main()
