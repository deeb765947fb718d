"""libvfio-user's samples and ours, both ways: libvfio_user.py FOLDER, the folder of its built samples (build/samples of
nutanix/libvfio-user). Its `client` drives `sample_device`, which serves by the classes of touka-device, and moves its state to
a second one; its `server` and `gpio-pci-idio-16` are functions of a machine, whose guest lists, resets and reads them. Run by
./dev test interop."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "machine"))

from guest import TOUKA, Machine, check  # noqa: E402

LIMIT_S = 60
SAMPLE_DEVICE = pathlib.Path(TOUKA).parent / "sample_device"
# Reads what the functions are, resets them, and reads them again. The GPIO card's ports find no room behind a port.
SCRIPT = r"""
say() {
    for function in /sys/bus/pci/devices/*; do
        case $(cat $function/vendor):$(cat $function/device) in
            0xdead:0xbeef) echo "$1 SERVER $(cat $function/subsystem_vendor):$(cat $function/subsystem_device)" ;;
            0x494f:0x0dc8) echo "$1 GPIO $(cat $function/subsystem_vendor):$(cat $function/subsystem_device)" ;;
        esac
    done
}
say FOUND
for function in /sys/bus/pci/devices/*; do
    case $(cat $function/vendor) in
        0xdead|0x494f) [ ! -e $function/reset ] || { echo 1 > $function/reset && echo "RESET $(cat $function/vendor)"; } ;;
    esac
done
say AGAIN
"""


def wait_for_socket(path, process):
    deadline = time.monotonic() + LIMIT_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            check(False, f"{process.args[0]} listens")
        time.sleep(0.05)


def client_drives_us(samples, folder):
    """The client starts a program named `server` beside itself as the second device."""
    shutil.copy(samples / "client", folder / "client")
    shutil.copy(SAMPLE_DEVICE, folder / "server")
    path = folder / "client.sock"
    with subprocess.Popen([folder / "server", "-v", path]) as first:
        wait_for_socket(path, first)
        log = folder / "client.log"
        # Its process becomes the second device; what forks off is the client.
        with open(log, "w") as out:
            done = subprocess.run(["stdbuf", "-oL", folder / "client", path], stdout=out, stderr=subprocess.STDOUT,
                                  timeout=LIMIT_S)
        said = log.read_text()
        check(done.returncode == 0 and said.count("INTx triggered!") == 2,
              "its client: interrupt, DMA, dirty pages, and again after the device has moved", said)
        check("sample device:" not in said, "the device found its memory", said)
        first.wait(LIMIT_S)


def its_servers_in_a_machine(samples, folder):
    servers = []
    try:
        arguments = []
        for name in ("server", "gpio-pci-idio-16"):
            path = folder / f"{name}.sock"
            servers.append(subprocess.Popen([samples / name, path]))
            wait_for_socket(path, servers[-1])
            arguments += ["--device", f"vfio-user:{path}"]
        machine = Machine(SCRIPT, *arguments, root=False)
        check(machine.finish(LIMIT_S * 5) == 0, "a machine with both of its servers powers off", machine.output())
        said = machine.output()
        for what in ("FOUND SERVER 0xcafe:0xbabe", "FOUND GPIO", "RESET 0xdead", "RESET 0x494f",
                     "AGAIN SERVER 0xcafe:0xbabe", "AGAIN GPIO"):
            check(what in said, f"the guest says {what}", said)
    finally:
        for server in servers:
            server.kill()
            server.wait()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    samples = pathlib.Path(sys.argv[1])
    for name in ("client", "server", "gpio-pci-idio-16"):
        if not os.access(samples / name, os.X_OK):
            sys.exit(f"{samples} has no program {name}: build libvfio-user (meson setup build && ninja -C build) and give "
                     "its build/samples")
    with tempfile.TemporaryDirectory(prefix="touka-interop-") as name:
        folder = pathlib.Path(name)
        client_drives_us(samples, folder)
        its_servers_in_a_machine(samples, folder)


if __name__ == "__main__":
    main()
